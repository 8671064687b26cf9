package backend

import "context"

type absentKey struct{}

// WithAbsent returns a context for a Put of a blob that Stat has just not found.
// The driver may rely on that instead of asking once more: if the blob has
// appeared meanwhile, it is sent in vain.
func WithAbsent(ctx context.Context) context.Context {
	return context.WithValue(ctx, absentKey{}, true)
}

// IsAbsent reports whether the context comes from [WithAbsent]. It is for
// drivers.
func IsAbsent(ctx context.Context) bool {
	return ctx.Value(absentKey{}) != nil
}

type originKey struct{}

// WithOrigin returns a context for reading what the store itself has, and no
// mirror in its place: a verification that repairs must not remove what only a
// mirror has in a damaged state.
func WithOrigin(ctx context.Context) context.Context {
	return context.WithValue(ctx, originKey{}, true)
}

// IsOrigin reports whether the context comes from [WithOrigin]. It is for
// drivers that read from mirrors.
func IsOrigin(ctx context.Context) bool {
	return ctx.Value(originKey{}) != nil
}

type scopeKey struct{}

// WithScope returns a context for a GetRef that looks in one of Info.Scopes
// alone. Who reads a cache reads all of them, because each may have records that
// the others lack.
func WithScope(ctx context.Context, scope string) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// ScopeOf returns the scope of a context from [WithScope]. It is for drivers that
// have scopes.
func ScopeOf(ctx context.Context) (scope string, ok bool) {
	scope, ok = ctx.Value(scopeKey{}).(string)
	return scope, ok
}
