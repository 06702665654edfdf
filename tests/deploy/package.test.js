// The Debian package and its units for systemd, from the programs of the tests.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";

const { DEPLOY_ROOT: root, DEPLOY_SEEDBED: seedbed } = process.env;
const deploy = join(root, "deploy");
const scratch = mkdtempSync(join(tmpdir(), "seedbed-package-"));
after(() => rmSync(scratch, { recursive: true }));

/** What a program prints, which has to end with `expected`. */
function run(program, args, expected = 0) {
  // The programs of tests are large, and packing them well takes a minute.
  const env = { ...process.env, DPKG_DEB_COMPRESSOR_TYPE: "none" };
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env, timeout: 120_000 });
  assert.equal(error, undefined, `${program} cannot be run: ${error}`);
  assert.equal(status, expected, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return expected === 0 ? stdout : stderr;
}

const units = readdirSync(join(deploy, "systemd")).filter((name) => /\.(service|timer)$/.test(name));

test("the package has programs, units, man pages, completions, a user and no settings", () => {
  const path = run(join(deploy, "package.sh"), [dirname(seedbed), scratch]).trim();
  const unpacked = join(scratch, "unpacked");
  run("dpkg-deb", ["--extract", path, unpacked]);
  const version = run(join(unpacked, "usr/bin/seedbed"), ["--version"]).trim().split(" ")[1];
  assert.equal(run("dpkg-deb", ["--field", path, "Version"]).trim(), version);
  assert.match(run("dpkg-deb", ["--field", path, "Depends"]), /^libc6 \(>= 2\.\d+\), /);
  assert.match(run(join(unpacked, "usr/bin/seedbed-worker"), ["--help"]), /Usage: seedbed-worker/);
  assert.deepEqual(readdirSync(join(unpacked, "usr/lib/systemd/system")).sort(), units.sort());
  assert.match(readFileSync(join(unpacked, "usr/lib/sysusers.d/seedbed.conf"), "utf8"), /^u seedbed /m);
  for (const program of ["seedbed", "seedbed-worker"]) {
    const completions = [`bash-completion/completions/${program}`, `zsh/vendor-completions/_${program}`, `fish/vendor_completions.d/${program}.fish`];
    for (const file of completions) {
      assert.ok(readFileSync(join(unpacked, "usr/share", file), "utf8").includes(program), file);
    }
  }
  const pages = readdirSync(join(unpacked, "usr/share/man/man1"));
  for (const page of ["seedbed.1.gz", "seedbed-run.1.gz", "seedbed-worker.1.gz"]) assert.ok(pages.includes(page), `${pages}`);
  for (const page of pages) {
    const source = gunzipSync(readFileSync(join(unpacked, "usr/share/man/man1", page))).toString();
    assert.match(source, /^\.TH seedbed/m, page);
  }
  assert.deepEqual(readdirSync(join(unpacked, "etc/seedbed")), []);
});

test("a package is not made of programs that are not there", () => {
  const refused = run(join(deploy, "package.sh"), [join(scratch, "nothing"), scratch], 2);
  assert.match(refused, /seedbed is missing: deploy\/release\.sh builds it/);
  assert.match(run(join(deploy, "package.sh"), ["--help"], 2), /^usage: /);
});

test("systemd understands the units, and finds little that they may do", () => {
  // Where the units are checked, the programs are elsewhere.
  const directory = join(scratch, "units");
  cpSync(join(deploy, "systemd"), directory, { recursive: true });
  for (const unit of units) {
    const text = readFileSync(join(directory, unit), "utf8");
    writeFileSync(join(directory, unit), text.replaceAll("/usr/bin/seedbed", seedbed));
  }
  const paths = units.map((unit) => join(directory, unit));
  assert.equal(run("systemd-analyze", ["verify", "--man=no", ...paths]), "");
  for (const path of paths.filter((path) => path.endsWith(".service"))) {
    run("systemd-analyze", ["security", "--offline=true", "--threshold=20", path]);
  }
});

test("units restart what may succeed later, and nothing else", () => {
  for (const unit of units.filter((name) => name.endsWith(".service"))) {
    const text = readFileSync(join(deploy, "systemd", unit), "utf8");
    assert.match(text, /^Restart=on-failure$/m, unit);
    const isServer = !/^Type=oneshot$/m.test(text);
    assert.match(text, isServer ? /^RestartPreventExitStatus=2$/m : /^RestartPreventExitStatus=1 2$/m, unit);
  }
});
