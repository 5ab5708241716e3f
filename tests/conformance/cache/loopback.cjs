// Loaded ahead of the suite's origin, which would listen on every interface: makes each server of this process listen
// on the loopback interface alone, and says where.

'use strict'

const { Server } = require('node:net')

const listen = Server.prototype.listen

Server.prototype.listen = function (port) {
  this.once('listening', () => console.log(`origin: http://127.0.0.1:${this.address().port}`))
  return listen.call(this, { port: Number(port) || 0, host: '127.0.0.1' })
}
