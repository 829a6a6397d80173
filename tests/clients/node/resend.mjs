// The official Node client in a round of all that it does with e-mails; prints what it got.
import { Resend } from "resend";

const resend = new Resend(process.env.API_KEY, { baseUrl: process.env.API_URL });
const mail = {
  from: "Hive <hello@hive.example>",
  to: "ann@wasp.example",
  subject: "Hello",
  html: "<b>Hi</b>",
};
const found = {};

found.sent = await resend.emails.send({
  ...mail,
  replyTo: ["desk@hive.example"],
  topicId: null,
  headers: { "X-Order": "17" },
  tags: [{ name: "kind", value: "order" }],
  attachments: [
    { filename: "a.txt", content: Buffer.from("from a buffer"), contentType: "text/plain" },
    { filename: "logo.png", content: "iVBORw==", contentId: "logo" },
  ],
});
const id = found.sent.data.id;
found.got = await resend.emails.get(id);
found.listed = await resend.emails.list({ limit: 1 });
found.attachments = await resend.emails.attachments.list({ emailId: id });
found.attachment = await resend.emails.attachments.get({
  emailId: id,
  id: found.attachments.data.data[0].id,
});

const options = { idempotencyKey: "order-17" };
found.once = [await resend.emails.send(mail, options), await resend.emails.send(mail, options)];
found.other = await resend.emails.send({ ...mail, subject: "Other" }, options);

found.batch = await resend.batch.send([mail, { ...mail, subject: "Second" }]);
found.permissive = await resend.batch.send([mail, { ...mail, to: "nobody" }], {
  batchValidation: "permissive",
});
found.strict = await resend.batch.send([mail, { ...mail, to: "nobody" }]);

found.scheduled = await resend.emails.send({ ...mail, scheduledAt: "in 1 hour" });
const later = { id: found.scheduled.data.id, scheduledAt: "tomorrow at 9am" };
found.moved = await resend.emails.update(later);
found.canceled = await resend.emails.cancel(later.id);
found.after = await resend.emails.get(later.id);

found.missing = await resend.emails.send({ from: mail.from, to: mail.to, html: "x" });
found.unknown = await resend.emails.get("01a20033-91d9-76f4-a228-305a4756aa65");
found.stranger = await new Resend("re_123", { baseUrl: process.env.API_URL }).emails.send(mail);

console.log(JSON.stringify(found));
