package sim

// snapshotForBlocks is what the EBS direct interfaces know of a snapshot that is
// in a region, in whichever account: for one that is shared is read as well.
func (w *World) snapshotForBlocks(r *region, id string) (blockSource, bool) {
	s := r.EC2.Snapshots[id]
	if s == nil {
		s = w.foreignSnapshot(r.Name, id)
	}
	if s == nil {
		return blockSource{}, false
	}
	return blockSource{
		ID: s.ID, Owner: s.Owner, Content: s.Content, Key: s.Key, GiB: s.Size, Shares: s.Shares,
		Completed: s.state(w.now()) == "completed",
	}, true
}

func (w *World) foreignSnapshot(regionName, id string) *snapshot {
	for _, a := range w.state.Accounts {
		if r := a.Regions[regionName]; r != nil && r.EC2.Snapshots[id] != nil {
			return r.EC2.Snapshots[id]
		}
	}
	return nil
}
