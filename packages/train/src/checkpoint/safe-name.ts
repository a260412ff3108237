/** Bytes that a file's name may have with all that is put behind it: systems take 255. */
const LONGEST = 200;

/**
 * Foreign text as the name of one file or folder: what separates folders, what some system doesn't take, and control characters
 * become `-`. It names nothing outside of the folder it is put into, and isn't hidden there.
 *
 * `../../x` is `-..-x`, `bert/lr=5e-5` is `bert-lr=5e-5`.
 */
export function safeName(text: string): string {
  const plain = text
    .replace(/[/\\:*?"<>|\p{Cc}]/gu, "-")
    .replace(/^[.\s]+/, "-") // `.` and `..` are folders, `.x` is hidden
    .replace(/^-+/, "-");
  const cut = Buffer.from(plain).subarray(0, LONGEST).toString();
  const name = cut.replace(/\uFFFD+$/, "").replace(/[.\s]+$/, ""); // half a character; what Windows drops
  if (name === "") return "-";
  return RESERVED.test(name) ? `-${name}` : name;
}

/** Devices of Windows, also with an ending. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
