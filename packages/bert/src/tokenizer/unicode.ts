/**
 * Character classes as Hugging Face's Rust tokenizers see them. Their tables are those of Unicode 9 (crate
 * `unicode_categories`), older than a JavaScript engine's, so what Unicode has added since is taken out of the engine's
 * classes here: these ranges are the difference, code point by code point.
 */
const newerMarks =
  String.raw`\u07fd\u0897-\u089f\u08ca-\u08e1\u09fe\u0afa-\u0aff\u0b55\u0c04\u0c3c\u0d00\u0d3b\u0d3c\u0d81\u0eba` +
  String.raw`\u0ece\u180f\u1885\u1886\u1abf-\u1add\u1ae0-\u1aeb\u1df6-\u1dfb\ua82c\ua8c5\ua8ff\ua9bd` +
  String.raw`\u{10d24}-\u{10d27}\u{10d69}-\u{10d6d}\u{10eab}\u{10eac}\u{10efa}-\u{10eff}\u{10f46}-\u{10f50}` +
  String.raw`\u{10f82}-\u{10f85}\u{11070}\u{11073}\u{11074}\u{110c2}\u{111c9}\u{111cf}\u{1123e}\u{11241}\u{1133b}` +
  String.raw`\u{113bb}-\u{113c0}\u{113ce}\u{113d0}\u{113d2}\u{113e1}\u{113e2}\u{11438}-\u{1143f}` +
  String.raw`\u{11442}-\u{11444}\u{11446}\u{1145e}\u{1182f}-\u{11837}\u{11839}\u{1183a}\u{1193b}\u{1193c}` +
  String.raw`\u{1193e}\u{11943}\u{119d4}-\u{119d7}\u{119da}\u{119db}\u{119e0}\u{11a01}-\u{11a0a}` +
  String.raw`\u{11a33}-\u{11a38}\u{11a3b}-\u{11a3e}\u{11a47}\u{11a51}-\u{11a56}\u{11a59}-\u{11a5b}` +
  String.raw`\u{11a8a}-\u{11a96}\u{11a98}\u{11a99}\u{11b60}\u{11b62}-\u{11b64}\u{11b66}\u{11c30}-\u{11c36}` +
  String.raw`\u{11c38}-\u{11c3d}\u{11c3f}\u{11c92}-\u{11ca7}\u{11caa}-\u{11cb0}\u{11cb2}\u{11cb3}\u{11cb5}` +
  String.raw`\u{11cb6}\u{11d31}-\u{11d36}\u{11d3a}\u{11d3c}\u{11d3d}\u{11d3f}-\u{11d45}\u{11d47}\u{11d90}` +
  String.raw`\u{11d91}\u{11d95}\u{11d97}\u{11ef3}\u{11ef4}\u{11f00}\u{11f01}\u{11f36}-\u{11f3a}\u{11f40}\u{11f42}` +
  String.raw`\u{11f5a}\u{13440}\u{13447}-\u{13455}\u{1611e}-\u{16129}\u{1612d}-\u{1612f}\u{16f4f}\u{16fe4}` +
  String.raw`\u{1cf00}-\u{1cf2d}\u{1cf30}-\u{1cf46}\u{1e000}-\u{1e006}\u{1e008}-\u{1e018}\u{1e01b}-\u{1e021}` +
  String.raw`\u{1e023}\u{1e024}\u{1e026}-\u{1e02a}\u{1e08f}\u{1e130}-\u{1e136}\u{1e2ae}\u{1e2ec}-\u{1e2ef}` +
  String.raw`\u{1e4ec}-\u{1e4ef}\u{1e5ee}\u{1e5ef}\u{1e6e3}\u{1e6e6}\u{1e6ee}\u{1e6ef}\u{1e6f5}` +
  String.raw`\u{1e944}-\u{1e94a}`;
const newerFormats = String.raw`\u0890\u0891\u08e2\u{110cd}\u{13430}-\u{1343f}`;
const newerPunctuation =
  String.raw`\u061d\u09fd\u0a76\u0c77\u0c84\u1b4e\u1b4f\u1b7d-\u1b7f\u2e43-\u2e4f\u2e52-\u2e5d\u{10d6e}\u{10ead}` +
  String.raw`\u{10ed0}\u{10f55}-\u{10f59}\u{10f86}-\u{10f89}\u{113d4}\u{113d5}\u{113d7}\u{113d8}` +
  String.raw`\u{1144b}-\u{1144f}\u{1145a}\u{1145b}\u{1145d}\u{11660}-\u{1166c}\u{116b9}\u{1183b}` +
  String.raw`\u{11944}-\u{11946}\u{119e2}\u{11a3f}-\u{11a46}\u{11a9a}-\u{11a9c}\u{11a9e}-\u{11aa2}` +
  String.raw`\u{11b00}-\u{11b09}\u{11be1}\u{11c41}-\u{11c45}\u{11c70}\u{11c71}\u{11ef7}\u{11ef8}` +
  String.raw`\u{11f43}-\u{11f4f}\u{11fff}\u{12ff1}\u{12ff2}\u{16d6d}-\u{16d6f}\u{16e97}-\u{16e9a}\u{16fe2}` +
  String.raw`\u{1e5ff}\u{1e95e}\u{1e95f}`;
const newerDecompositions =
  String.raw`\u{105c9}\u{105e4}\u{11383}\u{11385}\u{1138e}\u{11391}\u{113c5}\u{113c7}\u{113c8}\u{11938}` +
  String.raw`\u{16121}-\u{16128}\u{16d68}-\u{16d6a}`;

const newerCompatibility =
  String.raw`\u32ff\ua7f1-\ua7f4\uab69\u{10781}-\u{10785}\u{10787}-\u{107b0}\u{107b2}-\u{107ba}` +
  String.raw`\u{1ccd6}-\u{1ccf9}\u{1e030}-\u{1e06d}\u{1f16c}\u{1fbf0}-\u{1fbf9}`;
/** Where the marks of Unicode 9 are not what is said of {@link newerMarks}: of other kinds than nonspacing. */
const otherMarks =
  String.raw`\u08d4-\u08e1\u0cf3\u1715\u1885\u1886\u1cf2\u1cf3\u1cf7\u1dfb\ua8c5\ua9bd\u{11145}\u{11146}\u{111ce}` +
  String.raw`\u{1123e}\u{113b8}-\u{113ba}\u{113c2}\u{113c5}\u{113c7}-\u{113ca}\u{113cc}\u{113cd}\u{113cf}` +
  String.raw`\u{11438}-\u{1143f}\u{11442}-\u{11444}\u{11446}\u{1182c}-\u{1182e}\u{11838}\u{11930}-\u{11935}` +
  String.raw`\u{11937}\u{11938}\u{1193d}\u{11940}\u{11942}\u{119d1}-\u{119d3}\u{119dc}-\u{119df}\u{119e4}` +
  String.raw`\u{11a39}\u{11a57}\u{11a58}\u{11a97}\u{11b61}\u{11b65}\u{11b67}\u{11c30}-\u{11c36}` +
  String.raw`\u{11c38}-\u{11c3d}\u{11c3f}\u{11c92}-\u{11ca7}\u{11caa}-\u{11cb0}\u{11cb2}\u{11cb3}` +
  String.raw`\u{11cb5}\u{11cb6}\u{11d8a}-\u{11d8e}\u{11d93}\u{11d94}\u{11d96}\u{11ef5}\u{11ef6}\u{11f03}` +
  String.raw`\u{11f34}\u{11f35}\u{11f3e}\u{11f3f}\u{11f41}\u{1612a}-\u{1612c}\u{16f7f}-\u{16f87}` +
  String.raw`\u{16ff0}\u{16ff1}\u{1e000}-\u{1e006}\u{1e008}-\u{1e018}\u{1e01b}-\u{1e021}\u{1e023}\u{1e024}` +
  String.raw`\u{1e026}-\u{1e02a}`;
/** Letters, digits and marks since Unicode 16, which regular expressions in Rust do not know. */
const newestWords =
  String.raw`\u088f\u0c5c\u0cdc\u1acf-\u1add\u1ae0-\u1aeb\ua7ce\ua7cf\ua7d2\ua7d4\ua7f1\u{10940}-\u{10959}` +
  String.raw`\u{10ec5}-\u{10ec7}\u{10efa}\u{10efb}\u{11b60}-\u{11b67}\u{11db0}-\u{11ddb}\u{11de0}-\u{11de9}` +
  String.raw`\u{16ea0}-\u{16eb8}\u{16ebb}-\u{16ed3}\u{16ff2}-\u{16ff6}\u{187f8}-\u{187ff}\u{18d09}-\u{18d1e}` +
  String.raw`\u{18d80}-\u{18df2}\u{1e6c0}-\u{1e6de}\u{1e6e0}-\u{1e6f5}\u{1e6fe}\u{1e6ff}\u{2b73a}-\u{2b73f}` +
  String.raw`\u{2cea2}-\u{2cead}\u{323b0}-\u{33479}`;

/** Control and format characters, and those for private use: dropped. Tab and line ends are white space instead. */
export const isControl = matcher(String.raw`(?![\t\n\r${newerFormats}])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]`);
export const isWhiteSpace = matcher(String.raw`\p{White_Space}`);
/** Accents, once letters are decomposed. U+1734 and U+1171E were nonspacing marks in Unicode 9. */
export const isMark = matcher(String.raw`(?![${newerMarks}])[\p{Mn}\u1734\u{1171e}]`);
/** U+166D and U+111C9 were punctuation in Unicode 9; all ASCII symbols count as punctuation. */
export const isPunctuation = matcher(String.raw`(?![${newerPunctuation}])[\p{P}$+<=>^\x60|~\u166d\u{111c9}]`);
const isOldMark = matcher(String.raw`(?![${newerMarks}])\p{M}`);
const isOtherMark = matcher(`[${otherMarks}]`);
/** Marks of any kind, which StripAccents takes away. */
export const isCombining = (character: string): boolean => isOldMark(character) !== isOtherMark(character);
export const isNewerMark = matcher(`[${newerMarks}]`);
/** `\w` of Rust's regular expressions. @see https://www.unicode.org/reports/tr18/#word */
export const wordCharacters = String.raw`[[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]--[${newestWords}]]`;
/** `\p{L}` and `\p{N}` of Oniguruma. */
export const letters = String.raw`[\p{L}--[${newestWords}]]`;
export const numbers = String.raw`[\p{N}--[${newestWords}]]`;
/** Characters whose canonical decomposition is newer than the tables: left whole. */
export const staysWhole = matcher(`[${newerDecompositions}]`);
/** The same of compatibility decompositions. */
export const staysCompatible = matcher(`[${newerDecompositions}${newerCompatibility}]`);

/** Ideographs, which are words of their own. The gap from U+2B820 to U+2B91F is Rust's. */
export const isChinese = (codePoint: number): boolean =>
  (codePoint >= 0x4e00 && codePoint <= 0x9fff) ||
  (codePoint >= 0x3400 && codePoint <= 0x4dbf) ||
  (codePoint >= 0x20000 && codePoint <= 0x2a6df) ||
  (codePoint >= 0x2a700 && codePoint <= 0x2b81f) ||
  (codePoint >= 0x2b920 && codePoint <= 0x2ceaf) ||
  (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
  (codePoint >= 0x2f800 && codePoint <= 0x2fa1f);

function matcher(pattern: string): (character: string) => boolean {
  const regexp = new RegExp(`^(?:${pattern})$`, "u");
  return (character) => regexp.test(character);
}
