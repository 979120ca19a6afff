// An operator's SMSC out of the npm package "smpp": it takes wishes as lines of JSON and tells as lines of JSON what
// happens. How texts are coded and PDUs written is the package's work; where a long text is cut is ours, to the byte.
//
//   NODE_PATH=.../node_modules node smsc.js PORT

'use strict';
const readline = require('readline');
const smpp = require('smpp');

smpp.addTLV('operator_id', { id: 0x1400, type: smpp.types.tlv.cstring });
smpp.addTLV('operator_tariff', { id: 0x1501, type: smpp.types.tlv.int32 });

const PASSWORD = 'sandi123';
const sessions = new Set();
const mode = { throttle: 0, mute: false, deaf: false, ids: 16, receiptIds: 16, receiptTlvs: true, window: 10, retry: 200 };
let submitted = 0;

const tell = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const receivers = () => [...sessions].filter((session) => session.receives);
const bound = () => receivers()[0];

// --- what comes from the gateway ---

function receipt(session, pdu, number) {
  const id = number.toString(mode.receiptIds).padStart(10, '0');
  const fields = {
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
    data_coding: 0,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2601020304 done date:2601020304 stat:DELIVRD err:000 text:`,
  };
  if (mode.receiptTlvs) Object.assign(fields, { receipted_message_id: number.toString(mode.ids), message_state: 2 });
  session.deliver_sm(fields, (answer) => tell('receipted', { status: answer.command_status }));
}

function submit(session, pdu) {
  if (mode.deaf) return;
  if (mode.throttle > 0) {
    mode.throttle -= 1;
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    tell('throttled', {});
    return;
  }
  const number = ++submitted + 0xa0;
  session.send(pdu.response({ message_id: number.toString(mode.ids) }));
  const { message, udh } = pdu.message_payload || pdu.short_message;
  tell('submitted', {
    from: pdu.source_addr,
    to: pdu.destination_addr,
    coding: pdu.data_coding,
    text: message,
    udh: udh ? udh.map((element) => element.toString('hex')) : [],
    sar: [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum],
    length: (pdu.short_message.message || '').length,
  });
  if (pdu.registered_delivery & 1) receipt(session, pdu, number);
}

const server = smpp.createServer((session) => {
  sessions.add(session);
  session.kept = new Set();
  session.on('error', () => {}); // a connection that is cut is no event of its own: 'close' follows
  session.on('close', () => {
    sessions.delete(session);
    kept.unshift(...session.kept); // never answered: the next session has them again
    session.kept.clear();
    tell('closed', {});
    pump();
  });
  for (const command of ['bind_transceiver', 'bind_receiver', 'bind_transmitter']) {
    session.on(command, (pdu) => {
      const right = pdu.password === PASSWORD;
      session.send(pdu.response(right ? { system_id: 'NODE' } : { command_status: smpp.ESME_RINVPASWD }));
      session.receives = right && command !== 'bind_transmitter';
      tell('bound', { command, right, receivers: receivers().length });
      pump();
    });
  }
  session.on('enquire_link', (pdu) => mode.mute || session.send(pdu.response()));
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('unbind', (pdu) => {
    tell('unbound', {});
    session.send(pdu.response());
    session.close();
  });
});

// --- what goes to the gateway ---

function encoded({ text, hex, coding }) {
  if (hex !== undefined) return Buffer.from(hex, 'hex');
  if (coding === 8) return smpp.encodings.UCS2.encode(text);
  return coding === 3 ? smpp.encodings.LATIN1.encode(text) : smpp.encodings.ASCII.encode(text);
}

// Returns the fields of each deliver_sm that carries a text in the wished form.
function parts({ form, reference, size, ...wish }) {
  const bytes = encoded(wish);
  if (form === 'payload') return [{ message_payload: bytes }];
  if (!form) return [{ short_message: bytes, esm_class: wish.esm_class || 0 }];
  const cut = [];
  for (let at = 0; at < bytes.length; at += size) cut.push(bytes.subarray(at, at + size));
  return cut.map((part, index) => {
    const place = [cut.length, index + 1];
    if (form === 'sar') {
      const [sar_total_segments, sar_segment_seqnum] = place;
      return { short_message: part, sar_msg_ref_num: reference, sar_total_segments, sar_segment_seqnum };
    }
    const element = form === 'udh16' ? [8, 4, reference >> 8, reference & 255, ...place] : [0, 3, reference & 255, ...place];
    const header = Buffer.from([element.length, ...element]);
    return { esm_class: smpp.ESM_CLASS.UDH_INDICATOR, short_message: Buffer.concat([header, part]) };
  });
}

function send(wish) {
  const common = { source_addr: wish.from, source_addr_ton: 1, source_addr_npi: 1, destination_addr: '1708' };
  const all = parts(wish);
  for (const number of wish.order || all.map((_, index) => index + 1)) {
    const fields = { ...common, data_coding: wish.coding, ...all[number - 1], ...wish.tlvs };
    if (wish.keep) {
      kept.push({ fields, tag: wish.tag, part: number, attempts: 0 });
      continue;
    }
    const pdu = new smpp.PDU('deliver_sm', fields);
    bound().send(pdu, (answer) => tell('answered', { tag: wish.tag, part: number, status: answer.command_status }));
    tell('sent', { tag: wish.tag, part: number, pdu: pdu.toBuffer().toString('hex') });
  }
  pump();
}

// Messages that are kept as operators keep them: delivered again, over whatever session there is, until answered 0.
const kept = [];

function pump() {
  const session = bound();
  while (session && kept.length && session.kept.size < mode.window) deliver(session, kept.shift());
}

function deliver(session, one) {
  const { tag, part } = one;
  one.attempts += 1;
  session.kept.add(one);
  session.send(new smpp.PDU('deliver_sm', one.fields), ({ command_status: status }) => {
    if (!session.kept.delete(one)) return;
    tell(status ? 'refused' : 'stored', { tag, part, status, attempts: one.attempts });
    if (status) setTimeout(() => kept.push(one) && pump(), mode.retry);
    pump();
  });
  tell('delivered', { tag, part, attempts: one.attempts });
}

// --- what is wished ---

const WISHES = {
  send,
  mode: (wish) => Object.assign(mode, wish.set),
  drop: () => sessions.forEach((session) => session.destroy()),
  unbind: () => bound().unbind(() => tell('unbind answered', {})),
  enquire: () => bound().enquire_link({}, (answer) => tell('alive', { status: answer.command_status })),
  quit: () => process.exit(0),
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const wish = JSON.parse(line);
  WISHES[wish.do](wish);
}).on('close', () => process.exit(0)); // whoever started us has gone

server.listen(Number(process.argv[2] || 0), '127.0.0.1', () => tell('listening', { port: server.address().port }));
