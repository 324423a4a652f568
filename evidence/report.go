package evidence

import "time"

// Report is what a verification found.
type Report struct {
	Incident  string    `json:"incident"`
	At        time.Time `json:"at"`
	Manifests int       `json:"manifests"` // how many revisions were read
	Items     []Checked `json:"items"`
	Problems  []Problem `json:"problems"`
}

// Good reports whether nothing differs.
func (r Report) Good() bool { return len(r.Problems) == 0 }

// Checked is one item that was looked at.
type Checked struct {
	ID string `json:"id"`
	// How it was checked: "hashed again", "40 blocks hashed again", "it is there (completed)", "not checked: …".
	How    string `json:"how"`
	SHA256 string `json:"sha256,omitempty"` // as computed now
	Good   bool   `json:"good"`
}

// Problem names something that differs.
type Problem struct {
	What string `json:"what"` // the item, the block of an item, the manifest's revision
	Why  string `json:"why"`
}
