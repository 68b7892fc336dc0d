/** The elements of the page. */

/** Returns the element of an id. */
export function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element '${id}'.`);
  return found as Kind;
}

/** Returns a new element with a text. */
export function made<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  text = "",
): HTMLElementTagNameMap[Name] {
  const one = document.createElement(name);
  one.textContent = text;
  return one;
}

/** Returns a label with a new radio button or checkbox in it. */
export function choice(
  kind: "radio" | "checkbox",
  name: string,
  text: string,
): [HTMLLabelElement, HTMLInputElement] {
  const label = made("label");
  const input = made("input");
  input.type = kind;
  input.name = name;
  label.append(input, text);
  return [label, input];
}

/** Shows a sentence at the foot of the page, and reads it out. */
export function complain(error: unknown): void {
  const problem = element("problem");
  problem.textContent = error instanceof Error ? error.message : String(error);
  problem.hidden = false;
}

/** Takes the sentence away, where something new begins. */
export function forget(): void {
  element("problem").hidden = true;
}

/** The drawing context of a canvas. */
export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const found = canvas.getContext("2d", { willReadFrequently: true });
  if (!found) throw new Error("This browser cannot draw on a canvas.");
  return found;
}

/** A count of bytes for a reader. */
export function bytes(count: number): string {
  return `${count.toLocaleString("en")} bytes`;
}

/** Makes the tabs work: a click, or the arrow keys. */
export function startTabs(): void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>('[role="tab"]')];
  const show = (wanted: HTMLButtonElement) => {
    for (const tab of tabs) {
      const isShown = tab === wanted;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      element(tab.getAttribute("aria-controls") ?? "").hidden = !isShown;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", ({ key }) => {
      // A screen that no network fits has no tab.
      const there = tabs.filter(({ hidden }) => !hidden);
      const at = there.indexOf(tab);
      const places: Record<string, number> = {
        ArrowRight: at + 1,
        ArrowLeft: at - 1,
        Home: 0,
        End: -1,
      };
      if (!(key in places)) return;
      const next = there[(places[key] + there.length) % there.length];
      next.focus();
      show(next);
    });
  }
}
