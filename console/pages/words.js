// What the audit trail says, in plain words. The second form is what it says to
// the patient whom it is about.
const actions = {
  "patient.list": ["listed patients", "saw you in the list of patients"], "patient.create": ["made a patient's account", "made your account"],
  "patient.read": ["opened a patient's profile", "opened your profile"], "patient.change": ["changed a patient's profile", "changed your profile or doctors"],
  "patient.delete": ["deleted a patient", "deleted your account"], "patient.records": ["listed a patient's records", "read your records"],
  "patient.access-log": ["read who looked at a patient", "read who looked at your record"], "patient.erase": ["erased a patient"],
  "doctor.list": ["listed doctors", "saw you as a doctor's patient in the list of doctors"], "doctor.create": ["made a doctor's account", "registered with you as patient"], "doctor.read": ["opened a doctor's profile", "saw you as a patient in a doctor's profile"],
  "doctor.change": ["changed a doctor's profile", "changed which doctor you have"], "doctor.delete": ["deleted a doctor", "deleted the account of your doctor"], "doctor.patients": ["listed a doctor's patients", "saw you in a doctor's list of patients"],
  "record.list": ["searched records", "read your records"], "record.create": ["wrote a record", "wrote a record about you"], "record.read": ["read a record", "read one of your records"],
  "record.change": ["changed a record", "changed a record about you"], "record.delete": ["deleted a record", "deleted a record about you"],
  "record.versions": ["read the versions of a record", "read earlier versions of a record of yours"],
  "note.list": ["listed notes", "read notes about you"], "note.create": ["wrote a note", "wrote a note about you"], "note.read": ["read a note", "read a note about you"],
  "note.change": ["changed a note", "changed a note about you"], "note.delete": ["deleted a note", "deleted a note about you"], "note.versions": ["read the versions of a note", "read earlier versions of a note about you"],
  "deleted.versions": ["read what a deleted record said", "read what a deleted record of yours said"],
  "self.read": ["opened their own account", "opened your account"], "session.open": ["signed in"], "session.refresh": ["renewed a session"], "session.end": ["signed out"], "session.check": ["checked a session"],
  "self.password": ["changed their own password", "changed your password"], "self.otp": ["looked at their one-time code", "looked at your one-time code"], "self.otp-begin": ["began to set up a one-time code"], "self.otp-on": ["turned the one-time code on"], "self.otp-off": ["turned the one-time code off"],
  "self.sessions": ["looked where they are signed in", "looked where you are signed in"], "self.end-session": ["signed out elsewhere"], "self.end-other-sessions": ["signed out everywhere else"],
  "invitation.create": ["sent an invitation", "invited you"], "invitation.list": ["listed invitations", "saw your invitation"], "invitation.read": ["opened an invitation", "opened your invitation"], "invitation.resend": ["sent an invitation again", "invited you again"],
  "invitation.withdraw": ["withdrew an invitation"], "invitation.accept": ["accepted an invitation"], "reset.request": ["asked for a new password"], "reset.confirm": ["set a new password"],
  "account.reset": ["made a link for a new password", "made a link for your new password"], "account.unlock": ["forgot failed attempts of an account", "unlocked your account"], "account.otp-off": ["turned an account's one-time code off", "turned your one-time code off"],
  "account.activate": ["switched an account on or off", "switched your account on or off"], "account.sessions": ["listed sessions of an account", "looked where you are signed in"], "account.end-sessions": ["ended sessions of an account", "ended your sessions"],
  "staff.create": ["made a staff account"], "staff.list": ["listed staff"], "staff.read": ["opened a staff account"], "staff.change": ["changed a staff account"], "staff.delete": ["deleted a staff account"], "audit.list": ["read the audit trail"], "audit.export": ["exported the audit trail"],
  "practice.status": ["looked at the state of the practice"], "keys.rotate": ["changed the data key"], "database.backup": ["made a backup"], "database.copy": ["copied the practice to another database"], "database.restore": ["restored a backup"],
};

/** words says what an action did; one that is not known here says its name. */
export function words(action, toPatient) {
  const [general, own] = actions[action] ?? [action];
  return (toPatient && own) || general;
}

export const known = Object.keys(actions).sort();
export const roles = { patient: "patient", doctor: "doctor", staff: "the practice", operator: "the operator of the service", nobody: "somebody who was not signed in" };
