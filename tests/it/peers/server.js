// Node's own HTTP/1.1 server, or its HTTP/2 server over TLS: `node server.js http1|http2 '{"settings": {..}}'`.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const http2 = require("node:http2");

const [, , kind, options] = process.argv;
const settings = JSON.parse(options);
const text = (bytes) => Buffer.alloc(bytes, "0123456789");
// Requests that wait until there are as many as their query says.
const crowd = [];
let asked = 0;

function meet(path, answer) {
  crowd.push(answer);
  if (crowd.length >= Number(path.split("?")[1])) crowd.splice(0).forEach((answer) => answer());
}

function onStream(stream, headers) {
  stream.on("error", () => {});
  const path = headers[":path"];
  const session = stream.session;
  asked += 1;
  if (path === "/hello") {
    stream.respond({ ":status": 200, "x-method": headers[":method"], "x-authority": headers[":authority"] });
    stream.end("hello from node\n");
  } else if (path === "/hints") {
    stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
    stream.additionalHeaders({ ":status": 103, link: "</b.css>; rel=preload" });
    stream.respond({ ":status": 200 });
    stream.end("after the hints");
  } else if (path === "/trailers") {
    stream.respond({ ":status": 200, trailer: "x-sum" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.end(text(100000));
  } else if (path === "/upload") {
    let bytes = 0;
    stream.on("data", (piece) => (bytes += piece.length));
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(String(bytes));
    });
  } else if (path.startsWith("/meet")) {
    meet(path, () => {
      stream.respond({ ":status": 200 });
      stream.end("met");
    });
  } else if (path === "/goaway") {
    stream.respond({ ":status": 200 });
    stream.end(text(100000));
    session.goaway();
  } else if (path === "/close") {
    stream.respond({ ":status": 200 });
    session.close();
    stream.end(text(100000));
  } else if (path === "/refuse-first") {
    if (asked === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    stream.respond({ ":status": 200 });
    stream.end(String(asked));
  } else if (path === "/break") {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  } else if (path === "/break-body") {
    stream.respond({ ":status": 200 });
    stream.write(text(1000), () => stream.destroy(new Error("no more")));
  } else if (path === "/destroy") {
    session.destroy();
  } else {
    stream.respond({ ":status": 404 });
    stream.end(String(asked));
  }
}

function onRequest(request, response) {
  asked += 1;
  if (request.url === "/hello") {
    response.end("hello from node\n");
  } else if (request.url === "/hints") {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => {
      response.writeEarlyHints({ link: "</b.css>; rel=preload" }, () => response.end("after the hints"));
    });
  } else if (request.url === "/trailers") {
    response.writeHead(200, { trailer: "x-sum" });
    response.write(text(100000));
    response.addTrailers({ "x-sum": "42" });
    response.end();
  } else if (request.url === "/upload") {
    let bytes = 0;
    request.on("data", (piece) => (bytes += piece.length));
    request.on("end", () => response.end(String(bytes)));
  } else if (request.url === "/destroy") {
    request.socket.destroy();
  } else {
    response.writeHead(404);
    response.end(String(asked));
  }
}

let server;
if (kind === "http2") {
  const [key, cert] = [fs.readFileSync("server.key"), fs.readFileSync("server.pem")];
  server = http2.createSecureServer({ key, cert, ...settings });
  server.on("stream", onStream);
  server.on("sessionError", () => {});
} else {
  server = http.createServer(settings, onRequest);
}
server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
