import { GpugradError } from "@gpugrad/tensor";
import { describe, expect, test } from "vitest";
import * as classification from "./classification.ts";
import * as ranking from "./ranking.ts";
import * as regression from "./regression.ts";

type Metric = (...args: unknown[]) => unknown;
const { calibration, ...ranked } = ranking;
const metrics = Object.entries({ ...classification, ...ranked, ...regression }) as [string, Metric][];
const { classificationReport, confusionMatrix, precisionRecallF1, precisionRecallF1PerClass } = classification;

const refused = (work: () => unknown, message: string): void => {
  expect(work).toThrow(GpugradError);
  expect(work).toThrow(message);
};

test.each(metrics)("%s takes two lists of numbers of the same length", (name, metric) => {
  const second = name in ranked ? "scores" : "predictions";
  expect(() => metric(Int32Array.of(0, 1), [0, 1])).not.toThrow();
  refused(() => metric("01", [0, 1]), `${name}: labels is "01", not a list of numbers or booleans.`);
  refused(() => metric([0, 1]), `${name}: ${second} is missing`);
  refused(() => metric([0, 1], [0, 1, 1]), `${name}: the lengths differ: 2 labels and 3 ${second}.`);
  refused(() => metric([0, "1"], [0, 1]), `${name}: labels[1] is "1", not a`);
  refused(() => metric([0, 1], [null, 1]), `${name}: ${second}[0] is null, not a`);
});

test.each(Object.entries(classification) as [string, Metric][])("%s refuses what is not a class id", (name, metric) => {
  refused(() => metric([0, 1], [0, Infinity]), `${name}: predictions[1] is Infinity, not a class id`);
  refused(() => metric([0, 1.5], [0, 1]), `${name}: labels[1] is 1.5, not a class id`);
});

describe("options", () => {
  test("that are not known", () => {
    const wrong = [
      () => precisionRecallF1([1], [1], { average: "weigthed" as "weighted" }),
      () => precisionRecallF1([1], [1], { poslabel: 1 } as object),
      () => precisionRecallF1PerClass([1], [1], { average: "macro" } as object),
      () => confusionMatrix([1], [1], { label: [1] } as object),
      () => classificationReport([1], [1], { targetnames: ["a"] } as object),
      () => calibration([1], [1], { bin: 3 } as object),
    ];
    const messages = ["Did you mean weighted?", "Did you mean posLabel?", "no option average", "Did you mean labels?", "Did you mean targetNames?", "Did you mean bins?"]; // prettier-ignore
    for (const [i, work] of wrong.entries()) refused(work, messages[i]!);
  });

  test("of the wrong kind or size", () => {
    refused(() => confusionMatrix([1], [1], { labels: ["1"] as unknown as number[] }), "not a list of numbers");
    refused(() => classificationReport([1], [1], { digits: 1.5 }), "digits is 1.5");
    refused(() => classificationReport([1], [1], { digits: 101 }), "digits is 101; there can be 0 to 100");
    refused(() => classificationReport([1], [1], { digits: -1 }), "digits is -1");
    refused(() => ranking.rocCurve([0, 1], [0, 1], "1" as unknown as number), 'posLabel is "1"');
    refused(() => calibration([1], [1], { bins: 0 }), "bins is 0");
    refused(() => calibration([1], ["yes"] as unknown as number[]), 'correct[0] is "yes", not a number or a boolean');
    refused(() => calibration([1], []), "the lengths differ: 1 confidences and 0 correct");
    expect(calibration([1, 0.25], [true, false], { bins: 1 }).bins).toEqual([
      { from: 0, to: 1, count: 2, confidence: 0.625, accuracy: 0.5 },
    ]);
  });
});
