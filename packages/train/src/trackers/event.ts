/**
 * The few messages of TensorBoard's event files that are needed, in protobuf's wire format: each field is a key, `number * 8 + wire type`, and
 * a value; a message within a message is its bytes with their length before them.
 * @see https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
 * @see https://protobuf.dev/programming-guides/encoding/
 */

type Bytes = number[];

function varint(value: number): Bytes {
  const bytes: Bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
const int = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];
const message = (field: number, ...parts: Bytes[]): Bytes => {
  const bytes = parts.flat();
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
};
const text = (field: number, value: string): Bytes => message(field, [...new TextEncoder().encode(value)]);
const double = (field: number, value: number): Bytes => [
  ...varint(field * 8 + 1),
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const float = (field: number, value: number): Bytes => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

const event = (seconds: number, ...fields: Bytes[]): Uint8Array =>
  Uint8Array.from([double(1, seconds), ...fields].flat());

/** The first event of each file. */
export const fileVersion = (seconds: number): Uint8Array => event(seconds, text(3, "brain.Event:2"));

/** Says that a run continues from here: what other files have from `step` on is not shown. */
export const sessionStart = (seconds: number, step: number): Uint8Array =>
  event(seconds, int(2, step), message(7, int(1, 1)));

/** A number under each tag. */
export const scalars = (seconds: number, step: number, values: Record<string, number>): Uint8Array => {
  const summary = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)));
  return event(seconds, int(2, step), message(5, ...summary));
};

/** A text, in Markdown, for the text tab. */
export const markdown = (seconds: number, tag: string, value: string): Uint8Array => {
  const oneString = [...int(1, 7), ...message(2, message(2, int(1, 1))), ...text(8, value)]; // DT_STRING, of shape [1]
  const forTextTab = message(9, message(1, text(1, "text")));
  return event(seconds, message(5, message(1, text(1, `${tag}/text_summary`), message(8, oneString), forTextTab)));
};
