// What an editor makes of the inventories that bascule writes: diagnostics, completion and hover of yaml-language-server.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { Editor, settingsOf } from './client.mjs';
import { CURSOR, expanded, labels, lines, objects, placed } from './texts.mjs';

const BASCULE = resolve(process.env.BASCULE);
const SERVER = resolve(process.env.SERVER);
const REPOSITORY = resolve(import.meta.dirname, '../..');
const KINDS = { sites: 'site', services: 'service', backends: 'backend', edges: 'edge' };

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'bascule-editor-')));
after(() => rmSync(scratch, { recursive: true }));

/** Where texts are looked at: files that need not exist, with a line at the top that names their schema or without. */
class Place {
  constructor(editor, inventory, byHeader) {
    Object.assign(this, { editor, inventory, byHeader, count: 0 });
  }

  /** Opens a text with a cursor in it and gives what `look` says of the position. */
  async at(folder, marked, look) {
    const { path, head } = this.#file(folder);
    const { text, position } = placed(head + marked);
    this.editor.show(path, text);
    const seen = await look(path, position);
    this.editor.hide(path);
    return seen;
  }

  offers(folder, marked) {
    return this.at(folder, marked, (path, position) => this.editor.complete(path, position));
  }

  tells(folder, marked) {
    return this.at(folder, marked, (path, position) => this.editor.hover(path, position));
  }

  /** The faults of a text, as `LINE: MESSAGE` with the line counted from 1 below the header. */
  async faults(folder, text, within = '', ending = 'yaml') {
    const { path, head } = this.#file(folder, within, ending);
    const found = await this.editor.judge(path, head + text);
    this.editor.hide(path);
    return found.map(({ range, message }) => `${range.start.line + 1 - lines(head)}: ${message}`);
  }

  /** What the documents of a file begin with. */
  head(folder, within = '') {
    const up = '../'.repeat(within.split('/').length);
    return this.byHeader ? `# yaml-language-server: $schema=${up}.bascule/schemas/${KINDS[folder]}.json\n` : '';
  }

  #file(folder, within = '', ending = 'yaml') {
    const name = `${within}new-${(this.count += 1)}.${ending}`;
    return { path: join(this.inventory, folder, name), head: this.head(folder, within) };
  }
}

function bascule(folder, ...args) {
  return execFileSync(BASCULE, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The YAML files of a folder. */
function files(folder) {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = all.map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
  return paths.filter((path) => /\.ya?ml$/.test(path)).sort();
}

/** A folder with a starter as `bascule init` writes it. */
function started(name, ...args) {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  bascule(folder, 'init', ...args);
  return folder;
}

/** Every file of a folder is without fault, and those of the inventory are held against the schema of their kind. */
async function isClean(editor, folder, inventory, schemas, found = files(folder)) {
  const seen = found.map(async (path) => {
    assert.deepEqual(await editor.judge(path, readFileSync(join(folder, path), 'utf8')), [], path);
    const kind = path.startsWith(inventory) && KINDS[path.slice(inventory.length).split('/')[0]];
    const wanted = kind ? [pathToFileURL(join(folder, schemas, `${kind}.json`)).href] : [];
    assert.deepEqual((await editor.schemas(path)).map(encodeURI), wanted, path);
    editor.hide(path);
  });
  await Promise.all(seen);
  return found.length;
}

async function declaresNames(place, folder) {
  const sites = async () => [
    labels(await place.offers('backends', `name: new\nsite: ${CURSOR}`)),
    labels(await place.offers('services', `name: new\nrouting:\n  sites: [${CURSOR}]`)),
  ];
  const services = async () => labels(await place.offers('backends', `name: new\nservice: ${CURSOR}`));
  assert.deepEqual(await sites(), [['dijon', 'thory'], ['dijon', 'thory']]);
  assert.deepEqual(await services(), ['www']);

  // The names of what is declared later, by the command that the documentation gives.
  const manual = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8');
  const [, command] = /`bascule (schema --write --names inventory \S+)`/.exec(manual);
  writeFileSync(join(folder, 'inventory/sites/lyon.yaml'), 'name: lyon\nsubnets: [10.200.3.0/24]\n');
  const api = 'name: api\ndomains: [api.example.org]\n';
  writeFileSync(join(folder, 'inventory/services/api.yaml'), api);
  const backend = 'name: api-lyon-1\nservice: api\nsite: lyon\naddr: 10.200.3.23\nport: 8080\n';
  writeFileSync(join(folder, 'inventory/backends/api-lyon-1.yaml'), backend);
  for (const path of bascule(folder, ...command.split(' ')).trim().split('\n')) place.editor.changed(path);
  assert.deepEqual(await sites(), [['dijon', 'lyon', 'thory'], ['dijon', 'lyon', 'thory']]);
  assert.deepEqual(await services(), ['api', 'www']);
}

async function offersKeysAndValues(place) {
  const keys = async (marked) => labels(await place.offers('services', marked));
  const has = (offered, wanted) => assert.deepEqual(wanted.filter((label) => !offered.includes(label)), [], offered.join());
  has(await keys(CURSOR), ['name', 'domains', 'paths', 'health', 'routing', 'upstream', 'timeouts', 'critical']);
  has(await keys(`name: new\nhealth:\n  ${CURSOR}`), ['path', 'interval', 'timeout', 'rise', 'fall', 'expect', 'method']);
  has(await keys(`name: new\nrouting:\n  ${CURSOR}`), ['policy', 'sites', 'failback', 'sticky', 'when_all_down']);
  assert.ok(!(await keys(`name: new\n${CURSOR}`)).includes('name'), 'a key that is there is offered again');

  const values = await place.offers('services', `name: new\nrouting:\n  policy: ${CURSOR}`);
  assert.deepEqual(labels(values), ['priority', 'single', 'spread']);
  const single = values.find(({ label }) => label === 'single').documentation;
  assert.match(single.value ?? single, /Exactly one backend at a time/);
  const states = await place.offers('backends', `name: new\nstate: ${CURSOR}`);
  assert.deepEqual(labels(states), ['active', 'disabled', 'drain']);
}

async function tellsWhatKeysMean(place) {
  const tells = async (folder, marked, ...wanted) => {
    const told = await place.tells(folder, marked);
    for (const part of wanted) assert.ok(told.includes(part), `${marked}: ${told}`);
  };
  await tells('services', `name: new\nhealth:\n  inter${CURSOR}val: 2s\n`, 'Time between two probes of one backend. Default: 5s.');
  await tells('sites', `na${CURSOR}me: new\n`, 'Unique name of the site.');
  // Of a key with choices: what it is about, and what each choice means.
  const policy = ['How backends are chosen. Default: spread.', '`single`: Exactly one backend at a time'];
  await tells('services', `name: new\nrouting:\n  pol${CURSOR}icy: spread\n`, ...policy);
  await tells('services', `name: new\nrouting:\n  policy: spr${CURSOR}ead\n`, ...policy);
}

async function tellsFaults(place) {
  const refuses = async (folder, text, ...wanted) => assert.deepEqual(await place.faults(folder, text), wanted, text);
  const service = 'name: new\ndomains: [new.example.org]\n';
  await refuses('services', service);
  await refuses('services', `${service}healht:\n  path: /\n`, '3: Property healht is not allowed.');
  await refuses('services', `${service}health:\n  intervall: 2s\n`, '4: Property intervall is not allowed.');
  await refuses('services', `${service}health:\n  interval: 5\n`, '4: Incorrect type. Expected "string".');
  await refuses('services', `${service}health:\n`, '3: Incorrect type. Expected "object(Bascule service)".');
  const policies = '4: Value is not accepted. Valid values: "spread", "priority", "single".';
  await refuses('services', `${service}routing:\n  policy: sprad\n`, policies);
  await refuses('services', 'name: new\n', '1: Missing property "domains".');
  // The second of two documents; each has its own line that names the schema.
  const first = `name: a\nsubnets: [10.0.0.0/24]\n---\n${place.head('sites')}`;
  const [missing, unknown] = [lines(first) + 1, lines(first) + 2];
  await refuses('sites', `${first}name: b\nsubnet: []\n`, `${missing}: Missing property "subnets".`,
    `${unknown}: Property subnet is not allowed.`);
  const backend = (port) => `name: new\nservice: www\nsite: dijon\naddr: 10.200.1.9\nport: ${port}\n`;
  await refuses('backends', backend(80));
  await refuses('backends', backend(80_000), '5: Value is above the maximum of 65535.');
  await refuses('edges', 'name: new\nadmin: http://127.0.0.1:2019\nlisten: [":80"]\ntls: { mode: off }\n');
}

/** A name that nothing declares is `check`'s affair: it may be in a file that is not saved yet. */
async function leavesNamesToCheck(place, folder) {
  const text = 'name: new\nservice: www\nsite: nowhere\naddr: 10.200.1.9\nport: 80\n';
  assert.deepEqual(await place.faults('backends', text), []);
  const path = join(folder, 'inventory/backends/new.yaml');
  writeFileSync(path, text);
  const { status, stdout } = spawnSync(BASCULE, ['check', '--format', 'json'], { cwd: folder, encoding: 'utf8' });
  rmSync(path);
  assert.equal(status, 3);
  const [fault] = JSON.parse(stdout);
  assert.deepEqual([fault.code, fault.line ?? fault.place?.line], ['unknown-site', 3]);
}

/** A key is completed with its colon, and a value that comes with it is one that the schema takes. */
async function insertsNoFault(place, folder) {
  const inserted = async (plural, marked) => {
    const offered = (await place.offers(plural, marked)).filter(({ label }) => /^[a-z_]+$/.test(label));
    const texts = offered.map(({ insertText }) => expanded(insertText));
    for (const text of texts) assert.match(text, /^[a-z_]+:/, `${plural}: ${marked}${text}`);
    const whole = texts.filter((text) => /^[a-z_]+: \S+$/.test(text));
    const indent = marked.split('\n').at(-1).replace(CURSOR, '').replace('-', ' ');
    const found = await place.faults(plural, marked.replace(CURSOR, whole.join(`\n${indent}`)));
    const faults = found.filter((fault) => parseInt(fault, 10) > lines(marked) && !fault.includes('Missing property'));
    assert.deepEqual(faults, [], `${plural}: ${marked}${whole.join()}`);
    return whole.length;
  };
  const schema = (kind) => JSON.parse(readFileSync(join(folder, `inventory/.bascule/schemas/${kind}.json`), 'utf8'));
  const every = Object.entries(KINDS).flatMap(([plural, kind]) => objects(schema(kind)).map((marked) => [plural, marked]));
  const counts = await Promise.all(every.map(([plural, marked]) => inserted(plural, marked)));
  const count = counts.reduce((sum, one) => sum + one);
  assert.ok(every.length > 20 && count > 20, `${every.length} mappings, ${count} keys that come with a value`);
}

const WAYS = [
  ['by the line at the top of each file', started('headers'), true],
  ['by .vscode/settings.json', started('settings', '--ci', 'github'), false],
];
for (const [way, folder, byHeader] of WAYS) {
  test(way, async (t) => {
    const editor = await Editor.open(SERVER, folder, byHeader ? {} : settingsOf(folder));
    t.after(() => editor.close());
    const place = new Place(editor, 'inventory', byHeader);
    await t.test('the starter is without fault', async () => {
      const count = await isClean(editor, folder, 'inventory/', 'inventory/.bascule/schemas');
      assert.equal(count, byHeader ? 6 : 8);
    });
    await t.test('keys and values are offered', () => offersKeysAndValues(place));
    await t.test('hovering tells what keys mean', () => tellsWhatKeysMean(place));
    await t.test('faults are told at their lines', () => tellsFaults(place));
    await t.test('a name that nothing declares is left to check', () => leavesNamesToCheck(place, folder));
    await t.test('what is inserted is no fault', () => insertsNoFault(place, folder));
    await t.test('files lie as deep as one likes', async () => {
      for (const [within, ending] of [['north/', 'yaml'], ['north/west/', 'yml']]) {
        const faults = await place.faults('sites', 'name: new\nsubnet: []\n', within, ending);
        assert.deepEqual(faults, ['1: Missing property "subnets".', '2: Property subnet is not allowed.'], within);
      }
    });
    await t.test('the names of the inventory are offered', () => declaresNames(place, folder));
  });
}

// Where the inventory is in its repository, and whether settings can say so.
const PLACES = [
  ['inventory', '../inventory', '', true],
  ['deep', 'our edges', 'our edges/inventory/', true],
  ['odd', `the "edge" @ Nîmes`, `the "edge" @ Nîmes/inventory/`, false],
];
test('wherever the inventory is in the repository', async (t) => {
  for (const [name, named, inventory, bySettings] of PLACES) {
    const folder = join(scratch, name);
    execFileSync('git', ['init', '--quiet', folder]);
    started(name, named, '--ci', 'github');
    const editor = await Editor.open(SERVER, folder, bySettings ? settingsOf(folder) : {});
    t.after(() => editor.close());
    assert.equal(await isClean(editor, folder, inventory, `${inventory}.bascule/schemas`), 8);
    const place = new Place(editor, inventory, !bySettings);
    assert.deepEqual(await place.faults('sites', 'name: new\nsubnets: 5\n'), ['2: Incorrect type. Expected "array".'], name);
  }
});

test("the repository's own inventories are without fault", async (t) => {
  const editor = await Editor.open(SERVER, REPOSITORY, {});
  t.after(() => editor.close());
  for (const inventory of ['inventory/', 'examples/acecinema/inventory/']) {
    const found = files(join(REPOSITORY, inventory, '.')).map((path) => inventory + path);
    assert.ok((await isClean(editor, REPOSITORY, inventory, 'schemas', found)) >= 6);
  }
});
