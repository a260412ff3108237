/**
 * A generator of short film reviews, for trying things without a download. It is not a real data set and says nothing about one.
 *
 * A review has one verdict, and counting its words often gives another: what is praised may be denied ("far from gripping"),
 * outweighed ("although the music was lovely, …"), merely feared ("not nearly as dull as I feared") or said by others who were
 * wrong. These turns occur with both verdicts alike, so that who says what of what, and in which order, has to be read.
 */
import { DataError } from "../errors.ts";
import { splitMix64, type Random } from "../random.ts";

export type Review = { text: string; label: 0 | 1 };

/** Names of the classes by id. */
export const REVIEW_LABELS = ["negative", "positive"] as const;

/** Something that a review judges, with adjectives that suit it, by label: bad, good. */
type Aspect = { noun: string; be: "was" | "were"; words: readonly [bad: readonly string[], good: readonly string[]] };

const aspect = (noun: string, be: "was" | "were", bad: string, good: string): Aspect => ({
  noun,
  be,
  words: [bad.split(" "), good.split(" ")],
});

const ASPECTS: readonly Aspect[] = [
  aspect("acting", "was", "wooden stiff lifeless", "superb convincing natural"),
  aspect("story", "was", "predictable confusing thin", "gripping clever moving"),
  aspect("script", "was", "clumsy messy lazy", "witty sharp clever"),
  aspect("music", "was", "bland dreary clumsy", "lovely haunting beautiful"),
  aspect("ending", "was", "rushed silly predictable", "moving perfect satisfying"),
  aspect("dialogue", "was", "wooden flat clumsy", "natural witty sharp"),
  aspect("cast", "was", "wasted lifeless dreadful", "superb charming brilliant"),
  aspect("pacing", "was", "slow uneven dreary", "perfect brisk gripping"),
  aspect("jokes", "were", "stale flat silly", "funny fresh witty"),
  aspect("characters", "were", "thin flat stiff", "charming convincing funny"),
  aspect("pictures", "were", "bland messy dreadful", "stunning beautiful haunting"),
  aspect("songs", "were", "stale lazy bland", "lovely fresh charming"),
];

/** What the whole film is, as a noun and as an adjective, by label. */
const VERDICT_NOUNS = [
  ["a bore", "a mess", "a letdown", "a waste of time", "a failure"],
  ["a joy", "a gem", "a delight", "a triumph", "a treat"],
] as const;
const VERDICT_WORDS = [
  ["dull", "boring", "tedious", "awful", "weak"],
  ["great", "wonderful", "delightful", "excellent", "splendid"],
] as const;

const FILMS = ["film", "movie", "picture", "comedy", "drama", "thriller", "western"] as const;
const OPENERS = [
  "We saw it on a rainy Sunday.",
  "My sister chose it.",
  "I watched it twice.",
  "It runs for two hours.",
  "I knew nothing about it.",
  "The hall was half empty.",
  "It is set in a small town.",
  "I saw it with my brother.",
] as const;
const DENIALS = ["not", "never", "hardly", "far from", "anything but", "by no means"] as const;
const DEGREES = ["", "", "", "", "", "really ", "truly ", "so ", "very "] as const;
const SPEAKERS = ["critics", "my friends", "the papers", "my neighbours"] as const;

type Label = 0 | 1;
type Clause = (random: Random, label: Label) => string;

const other = (label: Label): Label => (label === 0 ? 1 : 0);

/** "the acting was superb" */
const judged: Clause = (r, label) => {
  const { noun, be, words } = r.pick(ASPECTS);
  return `the ${noun} ${be} ${r.pick(DEGREES)}${r.pick(words[label])}`;
};

/** "the acting was far from wooden": says the opposite of its adjective. */
const denied: Clause = (r, label) => {
  const { noun, be, words } = r.pick(ASPECTS);
  return `the ${noun} ${be} ${r.pick(DENIALS)} ${r.pick(words[other(label)])}`;
};

/** "the film is a joy" */
const verdict: Clause = (r, label) =>
  `the ${r.pick(FILMS)} is ${r.below(2) ? r.pick(VERDICT_NOUNS[label]) : r.pick(DEGREES) + r.pick(VERDICT_WORDS[label])}`;

/** "the film is anything but dull" */
const deniedVerdict: Clause = (r, label) => {
  const words = r.below(2) ? VERDICT_NOUNS : VERDICT_WORDS;
  return `the ${r.pick(FILMS)} is ${r.pick(DENIALS)} ${r.pick(words[other(label)])}`;
};

/** "superb acting" */
const quality: Clause = (r, label) => {
  const { noun, words } = r.pick(ASPECTS);
  return `${r.pick(words[label])} ${noun}`;
};

/** Ways to say a verdict, each with its weight: half of them straight, half with a turn. */
const FORMS: readonly [weight: number, form: Clause][] = [
  [6, (r, label) => `${judged(r, label)}, and ${verdict(r, label)}.`],
  [5, (r, label) => `${verdict(r, label)}: ${judged(r, label)}.`],
  [5, (r, label) => `${judged(r, label)} and ${judged(r, label)}.`],
  [2, (r, label) => `${r.pick(SPEAKERS)} said that ${verdict(r, label)}, and they were right.`],
  [3, (r, label) => `${r.pick([denied, deniedVerdict])(r, label)}.`],
  [2, (r, label) => `${denied(r, label)}, and ${verdict(r, label)}.`],
  [2, (r, label) => `${judged(r, other(label))}, but ${verdict(r, label)}.`],
  [1, (r, label) => `${verdict(r, other(label))}, but ${judged(r, label)}.`],
  [2, (r, label) => `although ${judged(r, other(label))}, ${r.pick([verdict, deniedVerdict, judged])(r, label)}.`],
  [1, (r, label) => `${verdict(r, label)}, although ${judged(r, other(label))}.`],
  [1, (r, label) => `despite the ${quality(r, other(label))}, ${verdict(r, label)}.`],
  [
    1,
    (r, label) => `even the ${quality(r, other(label))} could not ${label ? "spoil" : "save"} this ${r.pick(FILMS)}.`,
  ],
  [1, (r, label) => `it was not nearly as ${r.pick(VERDICT_WORDS[other(label)])} as I ${label ? "feared" : "hoped"}.`],
  [1, (r, label) => `I expected ${r.pick(VERDICT_NOUNS[other(label)])} and got ${r.pick(VERDICT_NOUNS[label])}.`],
  [1, (r, label) => `${r.pick(SPEAKERS)} said that ${verdict(r, other(label))}, but they were wrong.`],
];
const TOTAL_WEIGHT = FORMS.reduce((sum, [weight]) => sum + weight, 0);

/** Whether a review judges the same thing twice. */
const REPEATS = new RegExp(`\\b(${ASPECTS.map(({ noun }) => noun).join("|")})\\b.*\\b\\1\\b`);

function write(random: Random, label: Label): string {
  let at = random.below(TOTAL_WEIGHT);
  const [, form] = FORMS.find(([weight]) => (at -= weight) < 0)!;
  const sentence = form(random, label);
  const text = sentence[0]!.toUpperCase() + sentence.slice(1);
  return random.below(10) === 0 ? `${random.pick(OPENERS)} ${text}` : text;
}

/**
 * `count` different reviews in mixed order, as many of each label (the odd one is negative); the same for the same seed.
 * `except` holds texts that are not to occur, such as those of the training split.
 *
 * @throws {@link DataError} when the grammar does not give that many different ones.
 */
export function generateReviews({
  count,
  seed,
  except = [],
}: {
  count: number;
  seed: number;
  except?: Iterable<string>;
}): Review[] {
  const random = splitMix64(seed);
  const taken = new Set(except);
  const reviews: Review[] = [];
  for (let label: Label = 0, tries = 0; reviews.length < count; tries++) {
    if (tries > 20 * count + 1000)
      throw new DataError(`generateReviews: found ${reviews.length} different reviews of ${count}.`);
    const text = write(random, label);
    if (taken.has(text) || REPEATS.test(text)) continue;
    taken.add(text);
    reviews.push({ text, label });
    label = other(label);
  }
  // Labels alternate so far: mix them.
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [reviews[i], reviews[j]] = [reviews[j]!, reviews[i]!];
  }
  return reviews;
}
