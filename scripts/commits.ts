// pnpm commits [FOLDER]: the subjects of commits have at most 72 characters, which is what `git log --oneline` and web pages show of them.
// Looks at the commits since the last tag, or the last 50 where there is none.
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const LONGEST = 72;
/** Commits up to this one are as they are. */
const BEGIN = "c7632c45b8a94ca0d2351567e10e10d3d295c9bf";

/** One line for each commit of the repository in `folder`, after `begin`, whose subject is too long. */
export function badSubjects(folder: string, begin = BEGIN): string[] {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const lastTag = git("for-each-ref", "--merged=HEAD", "--sort=-creatordate", "--count=1", "--format=%(refname)", "refs/tags"); // prettier-ignore
  const isHere = git("rev-list", "HEAD").split("\n").includes(begin); // a clone may have the latest commits only
  const range = [lastTag ? `${lastTag}..HEAD` : "--max-count=50", ...(isHere ? [`^${begin}`] : [])];
  return git("log", "--no-merges", "--format=%h %s", ...range, "HEAD")
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      const [hash, subject] = [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)];
      const length = [...subject].length;
      return length <= LONGEST
        ? []
        : [`${hash}: its subject has ${length} characters, and may have ${LONGEST}: ${subject}`];
    });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const bad = badSubjects(argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url))));
  for (const line of bad) console.error(line);
  if (bad.length > 0) {
    console.error("Shorten them with git commit --amend or git rebase -i; what does not fit belongs into the body.");
    process.exitCode = 1;
  }
}
