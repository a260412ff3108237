// pnpm commits [FOLDER]: the subjects of commits have at most 72 characters, which is what `git log --oneline` and web pages show of them.
// Looks at the commits since the last tag, or the last 50 where there is none.
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const LONGEST = 72;

/** One line for each of these commits of the repository in `folder` whose subject is too long. */
export function badSubjects(folder: string): string[] {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const lastTag = git("for-each-ref", "--merged=HEAD", "--sort=-creatordate", "--count=1", "--format=%(refname)", "refs/tags"); // prettier-ignore
  return git("log", "--no-merges", "--format=%h %s", lastTag ? `${lastTag}..HEAD` : "--max-count=50")
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
