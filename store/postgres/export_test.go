package postgres

// LostName is a name whose session this process lost sight of.
func (b *Backend) LostName(name string) *Name { return &Name{b: b, name: name} }

// Run is the part of the identity that no other process has.
func (b *Backend) Run() string { return b.run }
