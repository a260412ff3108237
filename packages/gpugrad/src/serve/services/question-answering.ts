import { AutoModelForQuestionAnswering, type Encoding, type Heads } from "@gpugrad/bert";
import { stack } from "@gpugrad/tensor";
import { bestAnswers, type AnswerWindow } from "@gpugrad/train";
import { loading, refuseMissing } from "../../text/missing-weights.ts";
import type { TextModel } from "../../text/text-model.ts";
import {
  invalid,
  isObject,
  readBody,
  readCount,
  readFlag,
  readList,
  readParameters,
  readText,
  show,
} from "../request.ts";
import type { Service } from "../service.ts";

interface Question {
  question: string;
  context: string;
}

/** How long questions and windows are, in tokens. */
interface Lengths {
  maxLength: number;
  maxQuestion: number;
  stride: number;
}

const PARAMETERS = ["top_k", "doc_stride", "max_answer_len", "max_seq_len", "max_question_len", "handle_impossible_answer", "align_to_words"]; // prettier-ignore
/** Answers that are compared grow with its square, and with the windows. */
const MOST_ANSWERS = 50;

const EXAMPLE = '{"inputs": {"question": "…", "context": "…"}}';

/**
 * Answers to questions about texts: `{"inputs": {"question", "context"}, "parameters": {"top_k", …}}`. Long contexts have windows. Answers are found as
 * in an evaluation (`bestAnswers`); a score is the probability among the best candidates.
 * @see https://huggingface.co/docs/inference-providers/tasks/question-answering
 */
export const questionAnswering: Service<Heads["questionAnswering"]> = {
  name: "question-answering",
  task: {
    open: async (folder, options) =>
      refuseMissing(await AutoModelForQuestionAnswering.fromPretrained(folder, loading(options)), options, {
        head: "ForQuestionAnswering",
      }),
    compute(model, inputs) {
      const { start_logits, end_logits } = model.forward(inputs);
      return stack([start_logits, end_logits], { dim: 2 });
    },
    perToken: true,
  },
  modelType: () => ({ "question-answering": {} }),
  routes({ model, maxTexts, compute }) {
    return {
      "/": async (body, gone) => {
        const { inputs, parameters } = readBody(body, EXAMPLE);
        const { items: questions, isList } = readList(inputs, maxTexts, readQuestion);
        const given = readParameters(parameters, PARAMETERS);
        const count = (name: string, least = 1) => readCount(given[name], `parameters.${name}`, least);
        if (readFlag(given["align_to_words"], "parameters.align_to_words"))
          throw invalid("parameters.align_to_words: answers end where a token ends. Leave it out, or send false.");
        const topK = count("top_k") ?? 1;
        if (topK > MOST_ANSWERS) throw invalid(`parameters.top_k is ${topK}. It has to be at most ${MOST_ANSWERS}.`);
        const maxLength = Math.min(count("max_seq_len") ?? 384, model.maxLength);
        const lengths = {
          maxLength,
          maxQuestion: Math.min(count("max_question_len") ?? 64, Math.floor(maxLength / 2)),
          stride: count("doc_stride", 0) ?? model.windows?.stride ?? 128,
        };
        const options = {
          nBestSize: Math.max(topK, 20),
          maxAnswerLength: count("max_answer_len") ?? 30,
          version2: readFlag(given["handle_impossible_answer"], "parameters.handle_impossible_answer") ?? false,
        };
        const encode = async () => {
          const windows: (readonly Encoding[])[] = [];
          for (const question of questions) windows.push(await windowsOf(model, question, lengths));
          return windows.flatMap((own, sample) => own.map((encoding) => ({ ...tokensOf(encoding), encoding, sample })));
        };
        const { encoded, values } = await compute(questions.length, encode, gone);
        const found = questions.map(({ context }, q) => {
          const own = encoded.flatMap(({ encoding, sample }, i) => (sample === q ? [answerWindow(encoding, values[i]!)] : [])); // prettier-ignore
          const { nBest } = bestAnswers(context, own, options);
          const answers = nBest.slice(0, topK).map(({ text, probability, start, end }) => ({
            ...{ answer: start === null ? "" : text, score: probability, start: start ?? 0, end: end ?? 0 },
          }));
          return topK === 1 ? answers[0] : answers;
        });
        return isList ? found : found[0];
      },
    };
  },
};

function readQuestion(input: unknown, name: string): Question {
  if (!isObject(input)) throw invalid(`${name} is ${show(input)}. Send ${EXAMPLE}.`);
  return {
    question: readText(input["question"], `${name}.question`).trimStart(), // spaces would fill tokens that can't be cut
    context: readText(input["context"], `${name}.context`),
  };
}

const tokensOf = ({ input_ids, token_type_ids }: Encoding) => ({ input_ids, token_type_ids });

/** The windows over a context, each with the question, which is cut where it is too long. */
async function windowsOf(
  model: TextModel,
  { question, context }: Question,
  { maxLength, maxQuestion, stride }: Lengths,
): Promise<Encoding[]> {
  const { tokenizer } = model;
  const side = { truncationSide: "right" } as const;
  const { offsets } = tokenizer.encode(question, { ...side, addSpecialTokens: false, truncation: true, maxLength: maxQuestion }); // prettier-ignore
  const asked = [...question].slice(0, offsets.at(-1)?.[1] ?? 0).join("");
  const room = maxLength - tokenizer.encode(asked, { textPair: "" }).length;
  if (room < 2) throw invalid(`parameters.max_seq_len is too small: of ${maxLength} tokens, the question leaves ${room}.`); // prettier-ignore
  return model.encodings([{ text: asked, text_pair: context }], {
    ...{ ...side, truncation: "only_second", maxLength, returnOverflowingTokens: true },
    stride: Math.min(stride, Math.floor(room / 2)),
  });
}

/** @param values two for each token, that it begins and that it ends the answer */
function answerWindow(encoding: Encoding, values: Float32Array): AnswerWindow {
  const sequences = encoding.sequence_ids();
  return {
    startLogits: values.filter((_, i) => i % 2 === 0),
    endLogits: values.filter((_, i) => i % 2 === 1),
    offsets: encoding.offsets.map((span, t) => (sequences[t] === 1 ? span : undefined)),
  };
}
