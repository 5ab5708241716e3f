// A WebSocket server by node's package `ws`: echoes, and says what it saw.

const http = require("node:http");
const { WebSocketServer } = require("ws");

const PIECE_BYTES = 1000;
const PROTOCOLS = ["chat.v2", "chat.v1"];

// How to compress: the parameters as the header names them, and from how many bytes on; or nothing for no compression.
const compression = JSON.parse(process.argv[2]);
const perMessageDeflate = compression !== null && {
  serverNoContextTakeover: compression.server_no_context_takeover,
  clientNoContextTakeover: compression.client_no_context_takeover,
  serverMaxWindowBits: compression.server_max_window_bits,
  clientMaxWindowBits: compression.client_max_window_bits,
  threshold: compression.threshold,
};

// How connections ended that were not asked about yet, and who asked before one had.
const ended = [];
const waiting = [];

function tell() {
  while (ended.length > 0 && waiting.length > 0) waiting.shift().send(JSON.stringify(ended.shift()));
}

function sendInPieces(socket, content, binary) {
  let at = 0;
  do {
    const piece = content.subarray(at, at + PIECE_BYTES);
    at += PIECE_BYTES;
    socket.send(piece, { binary, fin: at >= content.length });
  } while (at < content.length);
}

function onConnection(socket, request) {
  const url = new URL(request.url, "ws://localhost");
  // A peer that breaks off is no error of this program.
  socket.on("error", () => {});
  if (url.pathname === "/told") {
    waiting.push(socket);
    tell();
  } else if (url.pathname === "/protocol") {
    socket.send(socket.protocol || "none");
  } else if (url.pathname === "/extensions") {
    socket.send(socket.extensions);
  } else if (url.pathname === "/close") {
    socket.close(Number(url.searchParams.get("code")), url.searchParams.get("reason"));
  } else if (url.pathname === "/ping") {
    socket.on("message", (data) => socket.ping(data));
    socket.on("pong", (data) => socket.send("pong " + data));
  } else if (url.pathname === "/pinged") {
    socket.on("ping", () => socket.send("pinged"));
  } else if (url.pathname === "/pieces") {
    socket.on("message", (data, binary) => sendInPieces(socket, data, binary));
  } else {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    if (url.pathname === "/echo") {
      socket.on("close", (code, reason) => {
        ended.push([code, String(reason)]);
        tell();
      });
    }
  }
}

const handleProtocols = (offered) => PROTOCOLS.find((ours) => offered.has(ours)) || false;
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate, handleProtocols });
const server = http.createServer();
server.on("upgrade", (request, stream, head) => {
  if (request.url === "/refuse") {
    const body = "who are you?\n";
    stream.end(
      "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nConnection: close\r\n" +
        `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  } else {
    sockets.handleUpgrade(request, stream, head, (socket) => onConnection(socket, request));
  }
});
server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
