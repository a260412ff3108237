/** Whether these numbers are an answer: one that is NaN or infinite is not. */
export const isFinite = (values: Float32Array): boolean => values.every(Number.isFinite);
