// nodemailer, as it is installed, over implicit TLS and STARTTLS; prints what the server said.
import nodemailer from "nodemailer";

function transport(options) {
  return nodemailer.createTransport({
    host: "localhost",
    port: Number(process.env.SMTP_PORT),
    secure: process.env.SMTP_SECURE === "yes",
    requireTLS: true,
    auth: { user: "resend", pass: process.env.API_KEY },
    ...options,
  });
}

const mail = {
  from: "Hive <hello@hive.example>",
  to: "ann@wasp.example",
  bcc: "cy@wasp.example",
  subject: "Grüße",
  text: "Hi",
  html: "<b>Hi</b> <img src='cid:logo'>",
  headers: { "X-Tags": '["order"]', "Resend-Idempotency-Key": "order-17" },
  attachments: [{ filename: "logo.png", content: Buffer.from([137, 80]), cid: "logo" }],
};
const ours = transport({ pool: true });
const first = await ours.sendMail(mail);
const second = await ours.sendMail(mail);
const found = { first: first.response, second: second.response };

async function refusalOf(options, message) {
  try {
    await transport(options).sendMail(message);
    return null;
  } catch (error) {
    return [error.code, error.responseCode];
  }
}
found.stranger = await refusalOf({ auth: { user: "resend", pass: "wrong" } }, mail);
found.evil = await refusalOf({}, { ...mail, from: "a@evil.example" });
ours.close();
console.log(JSON.stringify(found));
