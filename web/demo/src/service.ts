/** Keeps what the page has fetched, so that it works offline; online, files are always fetched. */
const CACHE = "fr-keras-demo-1";

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

self.addEventListener("fetch", (event) => {
  const { request } = event as FetchEvent;
  if (request.method === "GET") (event as FetchEvent).respondWith(answered(request));
});

async function answered(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    const held = await cache.match(request);
    if (held) return held;
    throw error;
  }
  // Where there is no room, the page has its file all the same.
  if (response.ok) await cache.put(request, response.clone()).catch(() => undefined);
  return response;
}
