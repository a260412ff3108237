/** Which op is running: tensors, their memory and errors of kernels are named after it. */
export const provenance = { op: "user" };
