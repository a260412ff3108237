import { init, softmax, tensor } from "@gpugrad/tensor/functional";

await init();
console.log(await softmax(tensor([1, 2, 3])).toArray());
