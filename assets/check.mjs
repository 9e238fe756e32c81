// Whether static/bgjobs is what these sources make: the stylesheet built anew, and htmx as npm has it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "bgjobs-css-"));
const built = join(folder, "bgjobs.css");
try {
  execFileSync("npx", ["tailwindcss", "--input", "assets/bgjobs.css", "--output", built, "--minify"], { stdio: "pipe" });
  const pairs = [
    ["static/bgjobs/bgjobs.css", built, "run: npm run css"],
    ["static/bgjobs/htmx-4.0.1.min.js", "node_modules/htmx.org/dist/htmx.min.js", "copy it from there"],
    ["static/bgjobs/hx-ptag-4.0.1.min.js", "node_modules/htmx.org/dist/ext/hx-ptag.min.js", "copy it from there"],
    ["static/bgjobs/htmx-4.0.1.LICENSE.txt", "node_modules/htmx.org/LICENSE", "copy it from there"],
  ];
  const stale = pairs.filter(([ours, theirs]) => !readFileSync(ours).equals(readFileSync(theirs)));
  for (const [ours, theirs, remedy] of stale) console.error(`${ours} is not ${theirs}: ${remedy}`);
  process.exitCode = stale.length ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
