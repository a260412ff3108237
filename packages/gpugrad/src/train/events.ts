import { memory } from "@gpugrad/tensor";
import { plainMetrics, type LogEntry, type StepEvent, type TrainerCallback } from "@gpugrad/train";

/** An update as traces and events have it, under Transformers' names. */
export function stepEntry(event: StepEvent): Record<string, number> {
  const { step, loss, gradNorm, learningRate, epoch, lossScale, skippedSteps } = event;
  return {
    ...{ step, loss, grad_norm: gradNorm, learning_rate: learningRate, epoch },
    ...(lossScale !== undefined && { loss_scale: lossScale, skipped_steps: skippedSteps ?? 0 }),
  };
}

/** Reports a run as events: `step`, `log`, `evaluate`, `save` and `warning`. */
export function eventCallback(emit: (event: object) => void): TrainerCallback {
  let isTraining = false;
  return {
    onTrainBegin: () => void (isTraining = true),
    onTrainEnd: () => void (isTraining = false),
    onStepResult(_args, _state, _control, { result }) {
      if (!result) return;
      const usage = { device_bytes: memory().bytes, rss_bytes: process.memoryUsage.rss() };
      emit({ event: "step", ...stepEntry(result), ...usage });
    },
    onLog(_args, _state, _control, { logs }) {
      if (isTraining && logs && "loss" in logs) emit({ event: "log", ...(logs satisfies LogEntry) });
    },
    onEvaluate(_args, { globalStep, epoch }, _control, { metrics }) {
      if (isTraining && metrics) emit({ event: "evaluate", step: globalStep, epoch, ...plainMetrics(metrics) });
    },
    onWarning(_args, { globalStep }, _control, { warning }) {
      emit({ event: "warning", step: globalStep, warning });
    },
    onSave(_args, { globalStep }, _control, { checkpoint }) {
      if (checkpoint !== undefined) emit({ event: "save", step: globalStep, checkpoint });
    },
  };
}
