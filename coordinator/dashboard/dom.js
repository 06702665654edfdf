/**
 * Builds and changes elements. Texts only ever become text nodes and attribute values: a store's id may look like HTML.
 * What hides or turns text around is spelled out in them: the id may also hold marks that make it look like another.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * An HTML element. A property that is a function is a listener (`onclick`); `true` is an attribute without a value;
 * `null`, `undefined` and `false` leave the attribute out.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  return build(document.createElement(tag), properties, children);
}

/**
 * The same for SVG.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, properties = {}, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else {
      setAttribute(element, name, value);
    }
  }
  element.append(...nodes(children));
  return element;
}

/** The children that there are; texts stay texts. */
function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : visible(String(child))));
}

/** Control characters, and marks of Unicode that hide or reorder text: the same as the server's `text::is_hidden`. */
const HIDDEN =
  /[\p{Cc}\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

/** A text that shows each of its characters. */
export function visible(text) {
  return text.replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0).toString(16)}}`);
}

/** Attributes that are read by people; others are addresses, values and names, which stay what they are. */
const READ = new Set(["title", "alt", "placeholder", "aria-label", "aria-description", "aria-valuetext"]);

/** Sets, changes or removes an attribute. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    element.setAttribute(name, READ.has(name) ? visible(text) : text);
  }
}

/** Replaces what is in `element`. A text that stays the same is left alone, so that screen readers do not repeat it. */
export function fill(element, ...children) {
  const filled = nodes(children);
  const isSame = filled.length === 1 && filled[0] === element.textContent && !element.firstElementChild;
  if (!isSame) {
    element.replaceChildren(...filled);
  }
  return element;
}

/**
 * Shows `items` as the children of `parent`, one element each, and keeps the elements of those that do not change:
 * focus, selection and scroll position stay where they are.
 * @template Item
 * @param {HTMLElement} parent all of its children come from here
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf tells items apart
 * @param {(item: Item) => HTMLElement} render
 * @param {HTMLElement} [fallback] gets the focus of an element that goes
 */
export function showAll(parent, items, keyOf, render, fallback) {
  const before = shown.get(parent) ?? new Map();
  const after = new Map();
  const hadFocus = parent.contains(document.activeElement);
  for (const item of items) {
    const [key, content] = [keyOf(item), JSON.stringify(item)];
    const known = before.get(key);
    after.set(key, known?.content === content ? known : { content, element: render(item) });
  }
  const elements = [...after.values()].map(({ element }) => element);
  for (const child of [...parent.children].filter((child) => !elements.includes(child))) {
    child.remove();
  }
  elements.forEach((element, index) => {
    if (parent.children[index] !== element) {
      parent.insertBefore(element, parent.children[index] ?? null);
    }
  });
  shown.set(parent, after);
  if (hadFocus && !parent.contains(document.activeElement)) {
    fallback?.focus();
  }
}

/** What {@link showAll} has shown in which element. */
const shown = new WeakMap();
