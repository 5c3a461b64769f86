package store

// Seal makes the manifest genuine, whatever it says.
func (s *Store) Seal(m *Manifest) { m.MAC = m.sum(s.keys.trail) }
