package manifest

// Merge returns a manifest that holds every record of all of ms, in canonical
// order. It needs no knowledge of the builds: the same record is known by its
// digest and inputs. Where two manifests have the same record, the newest result
// is kept, and the greater digest where times are equal; every record has at
// most one result afterwards, as when BuildKit writes it. Layers that no result
// uses any more are left out. Manifests that are nil are passed over, the others
// must pass Check.
//
// Merge is associative, commutative and idempotent, so that writers who race
// arrive at the same manifest in whichever order they come. One thing is exempt:
// where manifests describe the same layer differently, in its times or
// annotations, and one of them loses every result that uses the layer, it
// depends on the order whether its description is heard. To settle that too,
// every layer that ever lost would have to be kept for good.
//
// Records with the same digest whose inputs have different alternatives stay
// two records. Joining their alternatives would claim combinations of inputs
// that nobody has built: from (a, b) and (c, d) also (a, d).
func Merge(ms ...*Manifest) *Manifest {
	u := newUnion(greater)
	for _, m := range ms {
		if m != nil {
			u.add(m)
		}
	}
	merged := u.canonical()
	for i, r := range merged.Records {
		merged.Records[i].Results = r.Results[:min(1, len(r.Results))]
	}
	return merged.arrange(positions(merged.usedLayers()), upTo(len(merged.Records)))
}
