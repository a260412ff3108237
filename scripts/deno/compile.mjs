// Run by naga.ts in Deno: compiles the shaders of a JSON file from the given one on, and prints a line for each: `shader 7 ok`.
/* global Deno, navigator */
const [file, first] = Deno.args;
const shaders = JSON.parse(Deno.readTextFileSync(file));
const adapter = await navigator.gpu.requestAdapter();
const limits = [
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
];
const device = await adapter.requestDevice({
  requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
});
for (let index = Number(first); index < shaders.length; index++) {
  const { code, overrides } = shaders[index];
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main", constants: overrides } });
  const error = await device.popErrorScope();
  console.log(`shader ${index} ${error ? error.message.replace(/\s+/g, " ").slice(0, 1000) : "ok"}`);
}
Deno.exit();
