// Texts with a place in them, and what is made of what a server says about it.

/** Where the cursor is. */
export const CURSOR = '‸';

/** A text without its cursor, and where that was. */
export function placed(marked) {
  const before = marked.slice(0, marked.indexOf(CURSOR)).split('\n');
  return { text: marked.replace(CURSOR, ''), position: { line: before.length - 1, character: before.at(-1).length } };
}

/** How many lines end in a text. */
export function lines(text) {
  return text.split('\n').length - 1;
}

/** What is offered, in the order of the alphabet. */
export function labels(offered) {
  return offered.map(({ label }) => label).sort();
}

/** A snippet as it stands when it was inserted and nothing was typed: `${1:api}` is `api`, `$1` is nothing. */
export function expanded(snippet) {
  const places = /\$\{\d+:((?:\\.|[^}])*)\}|\$\{\d+\}|\$\d+/g;
  return snippet.replace(places, (_, value) => value ?? '').replace(/\\([$}\\])/g, '$1').trimEnd();
}

/** A text for each mapping of a schema, with the cursor where its keys are written. */
export function objects(schema, above = '', indent = '', before = '') {
  if (schema.type === 'array') return objects(schema.items, `${above}\n${indent}- `, `${indent}  `, '');
  if (!schema.properties) return [];
  const within = Object.entries(schema.properties).flatMap(([key, inner]) => {
    const deeper = `${indent}  `;
    if (inner.type === 'array') return objects(inner, `${above}${before}${key}:`, deeper);
    return objects(inner, `${above}${before}${key}:\n`, deeper, deeper);
  });
  return [`${above}${before}${CURSOR}`, ...within];
}
