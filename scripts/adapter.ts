// Finds the adapter as every program here does, fetching SwiftShader if need be, and prints which it is.
import { destroy, init } from "@gpugrad/tensor";

try {
  const { adapter } = await init();
  console.log(JSON.stringify(adapter));
  await destroy();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
