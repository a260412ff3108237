// softmax(x w) in the browser. `pnpm --filter @gpugrad/examples browser` serves this page.
import { fromArray, init, matmul, softmax } from "@gpugrad/tensor";

const show = (id: string, text: string) => (document.getElementById(id)!.textContent = text);

try {
  const { adapter } = await init();
  show("adapter", adapter.description);
  const x = fromArray(
    Array.from({ length: 6 }, (_, i) => Math.sin(i)),
    [2, 3],
  );
  const w = fromArray(
    Array.from({ length: 12 }, (_, i) => Math.cos(i)),
    [3, 4],
  );
  const y = softmax(matmul(x, w)); // [2, 4]: each row sums to 1
  show("result", JSON.stringify(await y.toArray()));
} catch (error) {
  show("result", String(error));
}
