/**
 * What a terminal acts on in place of showing it: control characters but tab and line feed, and the signs that turn the direction of
 * text round.
 * @see https://trojansource.codes
 */
// eslint-disable-next-line no-control-regex -- they are what it looks for
const ACTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text for a terminal: what would act on it is written as JSON escapes it, `\u001b`. Labels, texts and names come from others. */
export const visible = (text: string): string =>
  text.replace(ACTIVE, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
