import { init, tensor } from "@gpugrad/tensor";

await init();
console.log(await tensor([1, 2, 3]).softmax().toArray());
