package kit

import "testing"

func TestTheTitleOfAnUndoSaysWhatItDoesAndNotWhatWasDone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ did, title, want string }{
		{"termination protection: off -> on", "as before", "termination protection: on -> off"},
		{"i-1: vol-1 (/dev/sdf): deleted with the instance -> kept", "as before", "i-1: vol-1 (/dev/sdf): kept -> deleted with the instance"},
		{"access key AKIA1: active -> inactive", "make the access key active again", "access key AKIA1: inactive -> active"},
		{"role app: the sessions of i-1, and of no other, are denied everything", "they are not denied any more", "role app: they are not denied any more"},
		{"nothing that names anything", "put it back", "put it back"},
	} {
		if got := backwards(c.did, c.title); got != c.want {
			t.Errorf("%q: %q, want %q", c.did, got, c.want)
		}
	}
}
