// Lets the search work where the site is read from the disk: browsers start no worker there, so the worker's
// script runs in a hidden frame. Served by a web server, the site uses a worker as ever.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inner = frame.contentWindow;
      const send = inner.postMessage.bind(inner);
      this.loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
      this.postMessage = (data) => this.loaded.then(() => send(data, "*"));
      window.addEventListener("message", (event) => {
        if (event.source === inner) this.dispatchEvent(new MessageEvent("message", { data: event.data }));
      });
      inner.document.open();
      inner.document.write(
        "<script>self.postMessage = (data) => parent.postMessage(data, '*')</script>" +
          `<script src="${url}"></script>`,
      );
      inner.document.close();
    }
    terminate() {}
  };
}
