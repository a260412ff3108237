import { noGrad } from "@gpugrad/autograd";
import { AutoModelForSequenceClassification, startFromTeacher, type FromPretrainedOptions } from "@gpugrad/bert";
import { add, distillationLoss, mul, scope } from "@gpugrad/tensor";
import { join, readJson, valuesOf, withTensors } from "./files.ts";
import { compareAll, readInputs } from "./any-model.ts";
import { same, type Check, type Values } from "./tolerance.ts";

interface Reference {
  temperature: number;
  alpha: number;
  teacher_layers_copied: number[];
  copied: Record<string, string>;
  tensors: Record<string, { atol: number }>;
}

/** A student that starts from its teacher, and one step of distillation. */
export async function distillation(folder: string): Promise<Check[]> {
  const { temperature, alpha, ...reference } = readJson<Reference>(join(folder, "reference.json"));
  const options: FromPretrainedOptions = { dtype: "f32", onReport: () => undefined };
  const [teacher, student] = await Promise.all(
    ["teacher", "student"].map((name) =>
      AutoModelForSequenceClassification.fromPretrained(join(folder, name), options),
    ),
  );
  try {
    const got = new Map<string, Values>();
    const inputs = readInputs(join(folder, "inputs.json"));
    // What is copied is in the student's file already: forgotten first, it has to come from the teacher.
    const copied = [...student!.namedParameters()].filter(([key]) => key in reference.copied);
    for (const [, parameter] of copied) parameter.write(new Float32Array(parameter.size));
    const map = startFromTeacher(student!, teacher!, reference.teacher_layers_copied);
    const chosen = startFromTeacher(student!, teacher!); // the layers that it chooses itself
    await scope(async () => {
      const teacherLogits = noGrad(() => teacher!.forward(inputs).logits);
      const { logits, loss: crossEntropy } = student!.forward(inputs);
      const klT2 = distillationLoss(logits, teacherLogits, { temperature });
      const loss = add(mul(klT2, alpha), mul(crossEntropy!, 1 - alpha));
      loss.backward();
      for (const [name, x] of Object.entries({
        ...{ teacher_logits: teacherLogits, logits, loss, cross_entropy: crossEntropy! },
        kl: mul(klT2, 1 / temperature ** 2),
      }))
        got.set(name, await valuesOf(x));
    });
    for (const [key, { grad }] of student!.namedParameters()) if (grad) got.set(`grad.${key}`, await valuesOf(grad));
    const checks = await withTensors(join(folder, "reference.safetensors"), (golden) =>
      compareAll(got, reference.tensors, golden),
    );
    return [
      same("copied", Object.fromEntries(map), reference.copied),
      same("chosen", [...chosen], [...map]),
      ...checks,
    ];
  } finally {
    teacher!.dispose();
    student!.dispose();
  }
}
