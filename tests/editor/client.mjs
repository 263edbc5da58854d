// A client of yaml-language-server that says to it what Visual Studio Code with the YAML extension says, as far as schemas go.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The longest wait for an answer. Answers take some tens of milliseconds.
const PATIENCE_MS = 30_000;
// Of `FileChangeType`.
const CHANGED = 2;

/** What `.vscode/settings.json` says, as the server asks for it: `yaml.schemas` is `schemas` in the section `yaml`. */
export function settingsOf(folder) {
  const file = JSON.parse(readFileSync(join(folder, '.vscode/settings.json'), 'utf8'));
  const sections = {};
  for (const [key, value] of Object.entries(file)) {
    const [section, ...rest] = key.split('.');
    (sections[section] ??= {})[rest.join('.')] = value;
  }
  return sections;
}

export class Editor {
  #server;
  #folder;
  #sections;
  #received = Buffer.alloc(0);
  #ids = 0;
  #answers = new Map();

  /** Opens a folder. The extension asks for schemas from the web too, unless its settings say no; here they do. */
  static async open(serverProgram, folder, settings) {
    const editor = new Editor(serverProgram, folder, {
      ...settings,
      yaml: { validate: true, hover: true, completion: true, ...settings.yaml, schemaStore: { enable: false } },
    });
    const uri = pathToFileURL(folder).href;
    await editor.#request('initialize', {
      processId: process.pid,
      rootUri: uri,
      rootPath: folder,
      workspaceFolders: [{ uri, name: basename(folder) }],
      capabilities: {
        workspace: { configuration: true, workspaceFolders: true, didChangeConfiguration: { dynamicRegistration: true } },
        textDocument: {
          completion: { completionItem: { snippetSupport: true, documentationFormat: ['markdown'] } },
          formatting: { dynamicRegistration: true },
          hover: { contentFormat: ['markdown'] },
          publishDiagnostics: {},
        },
      },
    });
    const configured = editor.#next('workspace/configuration');
    editor.#notify('initialized', {});
    editor.#notify('workspace/didChangeConfiguration', { settings: null });
    await configured;
    return editor;
  }

  constructor(serverProgram, folder, sections) {
    this.#folder = folder;
    this.#sections = sections;
    this.#server = spawn(process.execPath, [serverProgram, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#server.stdout.on('data', (bytes) => this.#read(bytes));
    this.#server.on('exit', (code) => {
      for (const { reject } of this.#answers.values()) reject(new Error(`the server ended with ${code}`));
    });
  }

  /** Shows a text under the name of a file, which need not exist. Each name is for one text: diagnostics come when they come. */
  show(path, text) {
    this.#notify('textDocument/didOpen', { textDocument: { uri: this.#uri(path), languageId: 'yaml', version: 1, text } });
  }

  /** The same; gives the text's diagnostics, which takes as long as the server waits for more to be typed. */
  async judge(path, text) {
    const published = this.#next(this.#uri(path));
    this.show(path, text);
    return (await published).diagnostics;
  }

  hide(path) {
    this.#notify('textDocument/didClose', { textDocument: { uri: this.#uri(path) } });
  }

  async complete(path, position) {
    const answer = await this.#request('textDocument/completion', { textDocument: { uri: this.#uri(path) }, position });
    return answer.items;
  }

  async hover(path, position) {
    const answer = await this.#request('textDocument/hover', { textDocument: { uri: this.#uri(path) }, position });
    return answer?.contents.value ?? '';
  }

  /** The schemas that hold for a file that is shown. */
  async schemas(path) {
    const found = await this.#request('yaml/get/jsonSchema', this.#uri(path));
    return found.map(({ uri }) => uri);
  }

  /** What the editor's watcher of files says of a file that was written anew. */
  changed(path) {
    this.#notify('workspace/didChangeWatchedFiles', { changes: [{ uri: this.#uri(path), type: CHANGED }] });
  }

  async close() {
    const ended = new Promise((resolve) => this.#server.once('exit', resolve));
    await this.#request('shutdown', null);
    this.#notify('exit', null);
    await ended;
  }

  #uri(path) {
    return pathToFileURL(join(this.#folder, path)).href;
  }

  #request(method, params) {
    const id = (this.#ids += 1);
    this.#send({ id, method, params });
    return this.#awaited(id, method);
  }

  // The next thing that the server says under a name: the URI of diagnostics, or a method.
  #next(name) {
    return this.#awaited(name, name);
  }

  #awaited(key, what) {
    const late = new Error(`the server did not answer within ${PATIENCE_MS / 1000} s: ${what}`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(late), PATIENCE_MS);
      const done = (settle) => (value) => {
        clearTimeout(timer);
        this.#answers.delete(key);
        settle(value);
      };
      this.#answers.set(key, { resolve: done(resolve), reject: done(reject) });
    });
  }

  #notify(method, params) {
    this.#send({ method, params });
  }

  #send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    this.#server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.#server.stdin.write(body);
  }

  #read(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/Content-Length: (\d+)/.exec(this.#received.subarray(0, end))[1]);
      if (this.#received.length < end + 4 + length) return;
      const message = JSON.parse(this.#received.subarray(end + 4, end + 4 + length));
      this.#received = this.#received.subarray(end + 4 + length);
      this.#take(message);
    }
  }

  #take({ id, method, params, result, error }) {
    if (method === undefined) {
      const answer = this.#answers.get(id);
      if (error) answer?.reject(new Error(error.message));
      else answer?.resolve(result);
    } else if (method === 'workspace/configuration') {
      const asked = params.items.map(({ section }) => this.#sections[section] ?? null);
      this.#send({ id, result: asked });
      this.#answers.get(method)?.resolve();
    } else if (id !== undefined) {
      this.#send({ id, result: null });
    } else if (method === 'textDocument/publishDiagnostics') {
      this.#answers.get(params.uri)?.resolve(params);
    }
  }
}
