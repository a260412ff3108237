import type { TaskCard } from "../task.ts";

/** The card of a sequence classifier, for the pipeline of that name. */
export const textClassificationCard = (labels?: readonly string[]): TaskCard => ({
  ...{ tag: "text-classification", name: "Text Classification", ...(labels && { labels }) },
  usage: (repository) =>
    `from transformers import pipeline\n\nmodel = pipeline("text-classification", model=${JSON.stringify(repository)})\nmodel("A text of your own.")`,
});
