/**
 * Small made-up data for each task, and a tiny BERT without training to try commands with: who lives where.
 *
 *   node scripts/run.mjs examples/task-data.ts FOLDER
 *
 * Writes people.conll (names of people and places), people.json (SQuAD), people.txt (a sentence per line), documents.txt (with empty lines between documents), choices.jsonl,
 * pairs.jsonl (questions and their answers), texts with a class (verbs.jsonl), a number (lengths.jsonl) and several labels (names.jsonl), and tiny-bert/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BertConfig, BertModel } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { splitMix64, trainWordPiece } from "@gpugrad/train";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node scripts/run.mjs examples/task-data.ts FOLDER");
mkdirSync(folder, { recursive: true });

const people = ["Ada Lovelace", "Bob Ross", "Cem Karaca", "Dora Maar", "Eve Curie", "Finn Juhl", "Gil Evans"];
const places = ["Oslo", "New York", "Bonn", "Lima", "Rome", "San Jose"];
const verbs = ["lives in", "flew to", "left", "likes", "comes from"];
const random = splitMix64(1);

const tagged = (words: string, type: string): string[] =>
  words.split(" ").map((word, i) => `${word} ${i === 0 ? "B" : "I"}-${type}`);
const untagged = (words: string): string[] => words.split(" ").map((word) => `${word} O`);

const stories = Array.from({ length: 400 }, () => {
  const [person, other] = [random.pick(people), random.pick(people)];
  const [place, elsewhere] = [random.pick(places), random.pick(places)];
  return { person, other, place, elsewhere, verb: random.pick(verbs) };
});

const conll = stories.map(({ person, place, verb }) =>
  [...tagged(person, "PER"), ...untagged(verb), ...tagged(place, "LOC"), ". O"].join("\n"),
);
const lines = stories.map(({ person, place, verb }) => `${person} ${verb} ${place} .`);
const paragraphs = stories.map(({ person, other, place, elsewhere }, i) => {
  const context = `${person} lives in ${place} . ${other === person ? "Nobody" : other} flew to ${elsewhere} .`;
  const answer = { text: place, answer_start: context.indexOf(place) };
  return { context, qas: [{ id: `q${i}`, question: `Where does ${person} live ?`, answers: [answer] }] };
});
const choices = stories.map(({ person, place }, i) => {
  const endings = [`${person} likes .`, `${person} lives in ${place} .`, `in ${place} lives .`];
  const first = i % 3;
  return { prompt: `Where does ${person} live ?`, choices: [0, 1, 2].map((k) => endings[(k + first) % 3]!), label: (4 - first) % 3 }; // prettier-ignore
});
const pairs = people.map((person, i) => ({ anchor: `Where does ${person} live ?`, positive: `${person} lives in ${places[i % places.length]} .` })); // prettier-ignore
const verbRows = stories.map(({ person, place, verb }) => ({ text: `${person} ${verb} ${place} .`, label: verb }));
const lengthRows = lines.map((text) => ({ text, label: text.length / 10 }));
const nameRows = stories.map(({ person, other, place }) => ({ text: `${person} and ${other} left ${place} .`, labels: [...new Set([person, other])] })); // prettier-ignore

/** A person's travels: each place is where the last sentence ended. */
const documents = stories.slice(0, 200).map(
  ({ person, place, elsewhere, verb }) =>
  [`${person} ${verb} ${place} .`, `From ${place} one flies to ${elsewhere} .`, `In ${elsewhere} is a house .`, `${person} bought the house in ${elsewhere} .`], // prettier-ignore
);

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
write("people.conll", `${conll.join("\n\n")}\n`);
write("people.txt", `${lines.join("\n")}\n`);
write("documents.txt", `${documents.map((sentences) => sentences.join("\n")).join("\n\n")}\n`);
write("people.json", JSON.stringify({ version: "1.1", data: [{ title: "people", paragraphs }] }));
const writeRows = (name: string, rows: object[]): void =>
  write(name, `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);
writeRows("verbs.jsonl", verbRows);
writeRows("lengths.jsonl", lengthRows);
writeRows("names.jsonl", nameRows);
writeRows("choices.jsonl", choices);
writeRows(
  "pairs.jsonl",
  stories.map((_, i) => pairs[i % pairs.length]!),
);

await init();
manualSeed(0);
const tokenizer = trainWordPiece([...lines, "Where does Nobody live ?"], { vocabSize: 200, maxLength: 64 });
const sizes = { hidden_size: 48, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 96 };
const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 64 });
await BertModel.fromConfig(config).savePretrained(join(folder, "tiny-bert"));
await tokenizer.savePretrained(join(folder, "tiny-bert"));
await destroy();
console.log(
  `wrote people.conll, people.json, people.txt, documents.txt, choices.jsonl, pairs.jsonl, verbs.jsonl, lengths.jsonl, names.jsonl and tiny-bert into ${folder}`,
);
