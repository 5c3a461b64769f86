// A synthetic practice: nobody in it exists.
import { password } from "./service.js";

const days = (n, hour = 9, minute = 0) => {
  const at = new Date(Date.now() - n * 864e5);
  at.setHours(hour, minute, 0, 0);
  return at.toISOString();
};

const person = (username, first, last, mail = `${username}@example.org`) => ({ username, password, email: mail, first_name: first, last_name: last });

/** settle makes the people and what they wrote, and returns their ids. */
export async function settle(service) {
  const admin = await service.client("admin"), ids = {};
  for (const [name, first, last, field] of [["ada", "Ada", "Okafor", "Family medicine"], ["henrik", "Henrik", "Lund", "Cardiology"], ["mei", "Mei", "Tanaka", "Dermatology"]]) {
    ids[name] = (await admin("POST", "/api/doctors/", { user: person(name, first, last), specialization: field, license_number: "L-" + name.length + "042" })).id;
  }
  for (const [name, first, last, born, doctors] of [
    ["margaret", "Margaret", "Hill", "1946-03-12", ["ada", "henrik"]], ["samuel", "Samuel", "Ortega", "1990-02-03", ["ada"]], ["ines", "Inês", "Carvalho", "1978-11-30", ["ada", "mei"]],
    ["jonas", "Jonas", "Weber", "2001-07-19", ["ada"]], ["priya", "Priya", "Raman", "1985-05-08", ["ada"]], ["tomasz", "Tomasz", "Nowak", "1963-09-22", ["henrik"]],
  ]) {
    ids[name] = (await admin("POST", "/api/patients/", { user: person(name, first, last), date_of_birth: born, phone_number: "+1 555 01" + born.slice(2, 4), address: "12 Harbour Street\nPort Ellen", doctors: doctors.map((d) => ids[d]) })).id;
  }
  await (await service.client())("POST", "/api/doctors/", { user: person("newcomer", "Noor", "Haddad"), specialization: "Paediatrics" });

  const margaret = await service.client("margaret"), ada = await service.client("ada"), henrik = await service.client("henrik");
  const write = async (by, title, description, date, patient) => (await by("POST", "/api/health-records/", { title, description, date, patient })).id;
  const note = (by, health_record, text) => by("POST", "/api/doctor-notes/", { note: text, health_record });
  await write(margaret, "Knee after the fall", "Slipped on the kitchen step. The left knee is swollen but I can stand on it. Cooling helps.", days(96, 18));
  const pressure = await write(ada, "Blood pressure, yearly check", "148/86 sitting, 142/84 after ten minutes. Pulse 72, regular. Weight 68 kg.\nPlan: measure at home for two weeks, mornings and evenings.", days(61, 10, 30), ids.margaret);
  await note(henrik, pressure, "Agree with the plan. If the mean at home is above 135/85, start with 2.5 mg.");
  await write(margaret, "Measured at home, first week", "Mon 139/82, Tue 141/85, Wed 136/80, Thu 138/84, Fri 144/86, Sat 137/82, Sun 135/81.", days(52, 20));
  const dizzy = await write(margaret, "Dizzy in the morning", "Three mornings this week I had to sit down again after getting up. It passes after a minute. No headache. I take the new tablets since the 3rd.", days(24, 8, 15));
  await note(ada, dizzy, "Please take the tablet in the evening from now on, and drink a glass of water before getting up. Come in if it happens again this week.");
  await note(henrik, dizzy, "Orthostatic test at the next visit. No change of dose for now.");
  await write(henrik, "Orthostatic test", "Lying 136/80, standing 1 min 118/74, 3 min 126/78. No symptoms. Continue, control in six weeks.", days(11, 14, 45), ids.margaret);
  ids.last = await write(margaret, "Much better", "No dizziness since I take it in the evening. I walk half an hour every day again.", days(2, 9, 40));
  await note(ada, ids.last, "Very good. We leave it like this until the control visit.");
  ids.dizzy = dizzy;
  const samuel = await service.client("samuel");
  await write(samuel, "Cough", "Dry, since Monday, worse at night. No fever.", days(1, 21));
  const ines = await service.client("ines");
  await write(ines, "Rash on the forearm", "Since the weekend, itches. A new washing powder, maybe?", days(3, 12));
  return ids;
}
