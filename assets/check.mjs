// Whether static/bgjobs is what these sources make: stylesheet and scripts built anew, and htmx as npm has it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const OURS = "static/bgjobs", HTMX = "node_modules/htmx.org";
const folder = mkdtempSync(join(tmpdir(), "bgjobs-built-"));
const build = (name, ...options) => execFileSync("npm", ["run", "--silent", name, "--", ...options], { stdio: "pipe" });
try {
  build("css", "--output", join(folder, "bgjobs.css"));
  build("js", `--outdir=${folder}`);
  const pairs = [
    ...readdirSync(folder).map((name) => [name, join(folder, name), `run: npm run ${name.split(".").at(-1)}`]),
    ["htmx-4.0.1.min.js", `${HTMX}/dist/htmx.min.js`, "copy it from there"],
    ["hx-ptag-4.0.1.min.js", `${HTMX}/dist/ext/hx-ptag.min.js`, "copy it from there"],
    ["htmx-4.0.1.LICENSE.txt", `${HTMX}/LICENSE`, "copy it from there"],
  ];
  const stale = pairs.filter(([name, theirs]) => !readFileSync(join(OURS, name)).equals(readFileSync(theirs)));
  for (const [name, theirs, remedy] of stale) console.error(`${OURS}/${name} is not ${theirs}: ${remedy}`);
  process.exitCode = stale.length ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
