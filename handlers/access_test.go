package handlers_test

// accessTable says who may do what, and is tried line by line on the running
// router. Each column is somebody, each line a request on one object or group
// of objects, each cell the status that this person gets. Who the people are
// and what they wrote stands at [world]; the lines of a route mean:
//
//	patient, other      the patient of the first columns, and the other patient
//	treats, withdrawn   the profile of that doctor
//	of-patient          all that anyone wrote about the patient
//	by-…                what this one wrote; by-gone: what the doctors wrote about the
//	                    patient who are no longer its doctors, or no longer with us
//	absent              what never was, what was deleted, what belongs to the deleted
//	                    patient, other spellings of ids, and ids of other kinds
//	deleted, never      absent where what was deleted can still be looked up: what
//	                    was deleted, though its patient was not; and all the rest
//	waiting             an invitation that was not accepted
//	another             a staff account besides that of the column
//	open, closed        registration is
//	none                the body names no patient
//	-                   no object
//
// A POST is about the object that its body names. 200, 201, 204: it is done.
// 400: the body is refused. 401: who are you? 403: not for you. 404: there is
// no such thing, or none that you may know of; nobody can tell which.
const accessTable = `
route                                      object       nobody patient other treats colleague stranger former withdrawn staff inactive deleted

GET    /api/                               -            200    200     200   200    200       200      200    200       200   401      401
GET    /api/schema/                        -            200    200     200   200    200       200      200    200       200   401      401
GET    /healthz                            -            200    200     200   200    200       200      200    200       200   200      200
GET    /readyz                             -            200    200     200   200    200       200      200    200       200   200      200
GET    /api/me/                            -            401    200     200   200    200       200      200    200       200   401      401
POST   /api/me/password/                   -            401    400     400   400    400       400      400    400       400   401      401
GET    /api/me/otp/                        -            401    200     200   200    200       200      200    200       200   401      401
POST   /api/me/otp/                        -            401    200     200   200    200       200      200    200       200   401      401
DELETE /api/me/otp/                        -            401    404     404   404    404       404      404    404       404   401      401
POST   /api/me/otp/confirm/                -            401    400     400   400    400       400      400    400       400   401      401
GET    /api/me/sessions/                   -            401    200     200   200    200       200      200    200       200   401      401
DELETE /api/me/sessions/                   -            401    204     204   204    204       204      204    204       204   401      401
DELETE /api/me/sessions/{id}/              patient      401    204     404   404    404       404      404    404       404   401      401
                                           treats       401    404     404   204    404       404      404    404       404   401      401
                                           staff        401    404     404   404    404       404      404    404       204   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401

POST   /api/token/                         -            400    400     400   400    400       400      400    400       400   400      400
POST   /api/token/refresh/                 -            400    400     400   400    400       400      400    400       400   400      400
POST   /api/token/verify/                  -            400    400     400   400    400       400      400    400       400   400      400
POST   /api/token/blacklist/               -            400    400     400   400    400       400      400    400       400   400      400

POST   /api/password-reset/                -            400    400     400   400    400       400      400    400       400   400      400
POST   /api/password-reset/confirm/        -            400    400     400   400    400       400      400    400       400   400      400

GET    /api/invitations/                   -            401    403     403   403    403       403      403    403       200   401      401
POST   /api/invitations/                   -            401    403     403   403    403       403      403    403       201   401      401
POST   /api/invitations/accept/            -            400    400     400   400    400       400      400    400       400   400      400
GET    /api/invitations/{id}/              waiting      401    403     403   403    403       403      403    403       200   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401
DELETE /api/invitations/{id}/              waiting      401    403     403   403    403       403      403    403       204   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401
POST   /api/invitations/{id}/resend/       waiting      401    403     403   403    403       403      403    403       200   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401

GET    /api/staff/                         -            401    403     403   403    403       403      403    403       200   401      401
POST   /api/staff/                         -            401    403     403   403    403       403      403    403       201   401      401
GET    /api/staff/{id}/                    another      401    403     403   403    403       403      403    403       200   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401
PUT    /api/staff/{id}/                    another      401    403     403   403    403       403      403    403       200   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401
PATCH  /api/staff/{id}/                    another      401    403     403   403    403       403      403    403       200   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401
DELETE /api/staff/{id}/                    another      401    403     403   403    403       403      403    403       204   401      401
                                           absent       401    403     403   403    403       403      403    403       404   401      401

GET    /api/patients/                      -            401    200     200   200    200       200      200    200       200   401      401
POST   /api/patients/                      open         201    403     403   403    403       403      403    403       201   401      401
                                           closed       403    403     403   403    403       403      403    403       201   401      401
GET    /api/patients/{id}/                 patient      401    200     404   200    200       404      404    404       200   401      401
                                           other        401    404     200   404    404       200      404    404       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
PUT    /api/patients/{id}/                 patient      401    200     404   403    403       404      404    404       200   401      401
                                           other        401    404     200   404    404       403      404    404       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
PATCH  /api/patients/{id}/                 patient      401    200     404   403    403       404      404    404       200   401      401
                                           other        401    404     200   404    404       403      404    404       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
DELETE /api/patients/{id}/                 patient      401    204     404   403    403       404      404    404       204   401      401
                                           other        401    404     204   404    404       403      404    404       204   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
GET    /api/patients/{id}/health-records/  patient      401    200     404   200    200       404      404    404       403   401      401
                                           other        401    404     200   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
GET    /api/patients/{id}/access-log/      patient      401    200     404   403    403       404      404    404       200   401      401
                                           other        401    404     200   404    404       403      404    404       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401

GET    /api/doctors/                       -            401    200     200   200    200       200      200    200       200   401      401
POST   /api/doctors/                       open         201    403     403   403    403       403      403    403       201   401      401
                                           closed       403    403     403   403    403       403      403    403       201   401      401
GET    /api/doctors/{id}/                  treats       401    200     200   200    200       200      200    200       200   401      401
                                           withdrawn    401    404     404   404    404       404      404    200       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
PUT    /api/doctors/{id}/                  treats       401    403     403   200    403       403      403    403       200   401      401
                                           withdrawn    401    404     404   404    404       404      404    200       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
PATCH  /api/doctors/{id}/                  treats       401    403     403   200    403       403      403    403       200   401      401
                                           withdrawn    401    404     404   404    404       404      404    200       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
DELETE /api/doctors/{id}/                  treats       401    403     403   204    403       403      403    403       204   401      401
                                           withdrawn    401    404     404   404    404       404      404    204       204   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401
GET    /api/doctors/{id}/patients/         treats       401    403     403   200    403       403      403    403       200   401      401
                                           withdrawn    401    404     404   404    404       404      404    200       200   401      401
                                           absent       401    404     404   404    404       404      404    404       404   401      401

GET    /api/health-records/                -            401    200     200   200    200       200      200    200       403   401      401
POST   /api/health-records/                patient      401    201     400   201    201       400      400    400       403   401      401
                                           other        401    400     201   400    400       201      400    400       403   401      401
                                           absent       401    400     400   400    400       400      400    400       403   401      401
                                           none         401    201     201   400    400       400      400    400       403   401      401
GET    /api/health-records/{id}/           of-patient   401    200     404   200    200       404      404    404       403   401      401
                                           of-other     401    404     200   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
PUT    /api/health-records/{id}/           by-patient   401    200     404   403    403       404      404    404       403   401      401
                                           by-treats    401    403     404   200    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-other     401    404     200   404    404       403      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
PATCH  /api/health-records/{id}/           by-patient   401    200     404   403    403       404      404    404       403   401      401
                                           by-treats    401    403     404   200    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-other     401    404     200   404    404       403      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
DELETE /api/health-records/{id}/           by-patient   401    204     404   403    403       404      404    404       403   401      401
                                           by-treats    401    403     404   204    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-other     401    404     204   404    404       403      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       204      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
GET    /api/health-records/{id}/versions/  of-patient   401    200     404   200    200       404      404    404       403   401      401
                                           deleted      401    200     404   200    404       404      404    404       403   401      401
                                           of-other     401    404     200   404    404       200      404    404       403   401      401
                                           never        401    404     404   404    404       404      404    404       403   401      401

GET    /api/doctor-notes/                  -            401    200     200   200    200       200      200    200       403   401      401
POST   /api/doctor-notes/                  of-patient   401    403     403   201    201       400      400    400       403   401      401
                                           of-other     401    403     403   400    400       201      400    400       403   401      401
                                           absent       401    403     403   400    400       400      400    400       403   401      401
GET    /api/doctor-notes/{id}/             of-patient   401    200     404   200    200       404      404    404       403   401      401
                                           of-other     401    404     200   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
PUT    /api/doctor-notes/{id}/             by-treats    401    403     404   200    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
PATCH  /api/doctor-notes/{id}/             by-treats    401    403     404   200    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       200      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
DELETE /api/doctor-notes/{id}/             by-treats    401    403     404   204    403       404      404    404       403   401      401
                                           by-gone      401    403     404   403    403       404      404    404       403   401      401
                                           by-stranger  401    404     403   404    404       204      404    404       403   401      401
                                           absent       401    404     404   404    404       404      404    404       403   401      401
GET    /api/doctor-notes/{id}/versions/    of-patient   401    200     404   200    200       404      404    404       403   401      401
                                           deleted      401    200     404   200    404       404      404    404       403   401      401
                                           of-other     401    404     200   404    404       200      404    404       403   401      401
                                           never        401    404     404   404    404       404      404    404       403   401      401

GET    /api/audit-events/                  -            401    403     403   403    403       403      403    403       200   401      401
GET    /api/status/                        -            401    403     403   403    403       403      403    403       200   401      401
`

// accessBodies are the bodies of the requests; {object} is the id of the line's
// object.
var accessBodies = map[string]string{
	"POST /api/invitations/":          `{"role":"patient","email":"new@example.test"}`,
	"POST /api/staff/":                `{"user":{"username":"newcomer","password":"nine lazy rivers of tin"}}`,
	"PUT /api/staff/{id}/":            `{"user":{"first_name":"changed"}}`,
	"PATCH /api/staff/{id}/":          `{"user":{"first_name":"changed"}}`,
	"POST /api/patients/":             `{"user":{"username":"newcomer","password":"nine lazy rivers of tin"}}`,
	"PUT /api/patients/{id}/":         `{"address":"changed"}`,
	"PATCH /api/patients/{id}/":       `{"address":"changed"}`,
	"POST /api/doctors/":              `{"user":{"username":"newcomer","password":"nine lazy rivers of tin"}}`,
	"PUT /api/doctors/{id}/":          `{"specialization":"changed"}`,
	"PATCH /api/doctors/{id}/":        `{"specialization":"changed"}`,
	"POST /api/health-records/":       `{"title":"new","description":"new","patient":"{object}"}`,
	"PUT /api/health-records/{id}/":   `{"title":"changed","description":"changed"}`,
	"PATCH /api/health-records/{id}/": `{"title":"changed"}`,
	"POST /api/doctor-notes/":         `{"note":"new","health_record":"{object}"}`,
	"PUT /api/doctor-notes/{id}/":     `{"note":"changed"}`,
	"PATCH /api/doctor-notes/{id}/":   `{"note":"changed"}`,
}
