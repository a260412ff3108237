import { install } from "./backward.ts";

export { detectAnomaly, type Anomaly, type DetectAnomalyOptions } from "./anomaly.ts";
export { backward, gradientOf, hasHooks, registerHook, retainGrad } from "./backward.ts";
export { checkpoint } from "./checkpoint.ts";
export { gradcheck, type GradcheckOptions } from "./gradcheck.ts";
export { enableGrad, noGrad } from "./no-grad.ts";
export { tape, type GradientHook, type Tape } from "./tape.ts";

install();
