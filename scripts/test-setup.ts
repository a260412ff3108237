// Runs before every test file. Vitest itself fails the run for an error or a rejection that no test caught, and
// every wait for the device throws what went wrong on it, so there is nothing to add but a place for tokens that are
// kept between runs: the user's own cache keeps only what the user's runs need.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const tokens = mkdtempSync(join(tmpdir(), "gpugrad-test-tokens-"));
process.env["GPUGRAD_TOKEN_CACHE"] = tokens;
afterAll(() => rmSync(tokens, { recursive: true, force: true }));
