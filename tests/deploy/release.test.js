// What makes releases: workflows, archives, notes, the formula, and the package in the words of Debian's own checker.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

const { DEPLOY_ROOT: root, DEPLOY_TOOLS: tools, DEPLOY_SEEDBED: seedbed } = process.env;
const deploy = join(root, "deploy");
const releases = join(deploy, "releases");
const scratch = mkdtempSync(join(tmpdir(), "seedbed-release-"));
const programs = join(scratch, "programs");
const manifest = readFileSync(join(root, "Cargo.toml"), "utf8");
const version = /^version = "(.+)"$/m.exec(manifest)[1];
const repository = /^repository = "(.+)"$/m.exec(manifest)[1];
after(() => rmSync(scratch, { recursive: true }));

/** What a program prints, which has to end with `expected`. */
function run(program, args, { expected = 0, env = {} } = {}) {
  const options = { encoding: "utf8", env: { ...process.env, ...env }, timeout: 240_000, maxBuffer: 1 << 26 };
  const { status, error, stdout, stderr } = spawnSync(program, args, options);
  assert.equal(error, undefined, `${program} cannot be run: ${error}`);
  assert.equal(status, expected, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return expected === 0 ? stdout : stderr;
}

// Stand for the programs where their bytes do not matter: packing those of the tests takes a minute.
before(() => {
  mkdirSync(programs);
  for (const name of ["seedbed", "seedbed-worker"]) {
    writeFileSync(join(programs, name), `#!/bin/sh\nexec ${join(dirname(seedbed), name)} "$@"\n`, { mode: 0o755 });
  }
});

test("the workflows are as actionlint wants them", (t) => {
  const actionlint = join(tools, "../actionlint/actionlint");
  // tests/it/deploy/files.rs says that this is left out.
  if (!existsSync(actionlint)) return t.skip("there is no Go to build actionlint");
  const workflows = readdirSync(join(root, ".github/workflows")).map((name) => join(root, ".github/workflows", name));
  assert.ok(workflows.length >= 2);
  run(actionlint, ["-no-color", "-shellcheck", join(tools, "python/bin/shellcheck"), ...workflows]);
});

test("the workflow uses only what is there, and gives no job more rights than it needs", () => {
  const workflow = readFileSync(join(root, ".github/workflows/release.yml"), "utf8");
  const named = [...workflow.matchAll(/\bdeploy\/[\w/.-]+\.(?:sh|txt)\b|\bdeploy\/docker\/Dockerfile/g)].map(([path]) => path);
  assert.ok(named.length >= 6, `${named}`);
  for (const path of named) assert.ok(existsSync(join(root, path)), path);
  const rust = /^FROM (rust:[\d.]+)/m.exec(readFileSync(join(deploy, "docker/Dockerfile"), "utf8"))[1];
  for (const name of ["ci", "release"]) {
    const text = readFileSync(join(root, `.github/workflows/${name}.yml`), "utf8");
    assert.match(text, /^permissions:\n {2}contents: read$/m, name);
    assert.ok(text.includes(`${rust}-`), `${name} uses another Rust than the image`);
    assert.ok(!text.includes("pull_request_target"), name);
    for (const checkout of text.split("actions/checkout@").slice(1)) {
      assert.match(checkout.split("- uses:")[0], /persist-credentials: false/, `${name} leaves its token beside the sources`);
    }
  }
});

test("the archive has programs, man pages and completions, where cargo binstall looks for them", () => {
  const target = `${run("uname", ["-m"]).trim()}-unknown-linux-gnu`;
  const archive = run(join(deploy, "archive.sh"), [programs, scratch]).trim();
  const name = `seedbed-${version}-${target}`;
  assert.equal(archive, join(scratch, `${name}.tar.gz`));
  const [sum, of] = readFileSync(`${archive}.sha256`, "utf8").trim().split("  ");
  assert.equal(of, `${name}.tar.gz`);
  assert.equal(run("sha256sum", [archive]).split(" ")[0], sum);
  const files = run("tar", ["--list", "--file", archive]).trim().split("\n");
  for (const file of ["LICENSE", "CHANGELOG.md", "share/man/man1/seedbed-run.1", "share/doc/seedbed/seedbed.toml"]) {
    assert.ok(files.includes(`${name}/${file}`), file);
  }
  for (const shell of ["bash", "zsh", "fish"]) assert.ok(files.includes(`${name}/share/completions/${shell}/seedbed-worker`), shell);
  for (const [crate, program] of [["coordinator", "seedbed"], ["worker", "seedbed-worker"]]) {
    const text = readFileSync(join(root, crate, "Cargo.toml"), "utf8");
    assert.match(text, /^repository\.workspace = true$/m);
    const filled = (key) =>
      new RegExp(`^${key} = "(.+)"$`, "m").exec(text)[1].replaceAll("{ repo }", repository).replaceAll("{ version }", version)
        .replaceAll("{ target }", target).replaceAll("{ bin }", program);
    assert.equal(filled("pkg-url"), `${repository}/releases/download/v${version}/${name}.tar.gz`);
    assert.ok(files.includes(filled("bin-dir")), filled("bin-dir"));
  }
  const again = readFileSync(archive);
  run(join(deploy, "archive.sh"), [programs, scratch]);
  assert.ok(again.equals(readFileSync(archive)), "the same programs make other bytes");
});

test("the formula names the archives by their checksums, and is not made without one", () => {
  const packages = join(scratch, "packages");
  mkdirSync(packages);
  const sum = (digit, architecture) => {
    const name = `seedbed-1.2.3-${architecture}-unknown-linux-gnu.tar.gz`;
    writeFileSync(join(packages, `${name}.sha256`), `${digit.repeat(64)}  ${name}\n`);
  };
  sum("a", "x86_64");
  const refused = run(join(releases, "formula.sh"), ["1.2.3", packages], { expected: 1 });
  assert.match(refused, /aarch64.+deploy\/archive\.sh makes it/);
  sum("b", "aarch64");
  const formula = run(join(releases, "formula.sh"), ["1.2.3", packages]);
  for (const [where, architecture, digit] of [["intel", "x86_64", "a"], ["arm", "aarch64", "b"]]) {
    const url = `${repository}/releases/download/v1.2.3/seedbed-1.2.3-${architecture}-unknown-linux-gnu.tar.gz`;
    assert.ok(formula.includes(`on_${where} do\n      url "${url}"\n      sha256 "${digit.repeat(64)}"\n`), formula);
  }
  // Every block ends: Ruby would say no more, and is not here.
  const opened = formula.match(/^ *(class|def|test do|on_\w+ do|.*\.each do \|\w+\|)/gm).length;
  assert.equal(formula.match(/^ *end$/gm).length, opened, formula);
  assert.match(run(join(releases, "formula.sh"), ["1.2"], { expected: 2 }), /^usage: /);
});

test("a release has the notes of its version, with links that work elsewhere, or is not made", () => {
  const changelog = join(scratch, "changes.md");
  writeFileSync(changelog, "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.3] - 2026-01-02\n\n- new, see [there](UPGRADES.md#order)\n\n## [1.2.2]\n");
  const notes = run(join(releases, "notes.sh"), ["1.2.3", changelog]);
  assert.ok(notes.startsWith(`- new, see [there](${repository}/blob/v1.2.3/deploy/UPGRADES.md#order)\n`), notes);
  assert.ok(!notes.includes("later") && notes.includes("/deploy/UPGRADES.md\n"), notes);
  for (const missing of ["1.2.2", "9.9.9"]) {
    assert.match(run(join(releases, "notes.sh"), [missing, changelog], { expected: 1 }), /has nothing for/);
  }
  assert.match(run(join(releases, "notes.sh"), ["v1.2.3"], { expected: 2 }), /^usage: /);
});

test("the package is as lintian wants it", () => {
  // As a release has them: without the symbols, which are most of the tests' programs.
  const stripped = join(scratch, "stripped");
  mkdirSync(stripped);
  for (const name of ["seedbed", "seedbed-worker"]) {
    run("strip", ["--strip-all", "-o", join(stripped, name), join(dirname(seedbed), name)]);
  }
  const path = run(join(deploy, "package.sh"), [stripped, scratch], { env: { DPKG_DEB_COMPRESSOR_TYPE: "none" } }).trim();
  const packed = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";
  const suppressed = ["--suppress-tags-from-file", join(releases, "lintian.txt"), "--suppress-tags", packed];
  run("lintian", ["--allow-root", "--fail-on", "error,warning", ...suppressed, path]);
});
