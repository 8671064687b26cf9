package wrap

import (
	"context"
	"fmt"

	"github.com/larder-build/larder/backend"
)

func (c *check) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	if err := c.allow(ctx, opGetRef, name, backend.CheckRefName(name)); err != nil {
		return backend.Ref{}, err
	}
	return c.next.GetRef(ctx, name)
}

func (c *check) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	err := c.allow(ctx, opPutRef, name, checkWritable(name), c.checkSize(doc), c.checkPutCondition(cond))
	if err != nil {
		return "", err
	}
	return c.next.PutRef(ctx, name, doc, cond)
}

func (c *check) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	err := c.allow(ctx, opDeleteRef, name, checkWritable(name),
		invalid(cond.IsAbsent(), "condition absent, want always or match"), c.checkDeleteCondition(cond))
	if err != nil {
		return err
	}
	return c.next.DeleteRef(ctx, name, cond)
}

// checkWritable returns an error unless a ref of that name can be written.
func checkWritable(name string) error {
	if err := backend.CheckRefName(name); err != nil {
		return err
	}
	return invalid(backend.IsDigest(name), "ref name %s is a digest, which can only be read", name)
}

func (c *check) checkSize(doc backend.Document) error {
	limit := c.info.MaxDocumentSize
	if limit == 0 {
		limit = backend.MaxDocumentSize
	}
	if int64(len(doc.Data)) <= limit {
		return nil
	}
	return fmt.Errorf("%w: document has %d bytes, the limit is %d", backend.ErrTooLarge, len(doc.Data), limit)
}

func (c *check) checkPutCondition(cond backend.Condition) error {
	switch {
	case cond.IsAlways():
		return nil
	case cond.IsAbsent():
		return need(c.info.Capabilities.CreateRef, "CreateRef")
	default:
		return need(c.info.Capabilities.ReplaceRef, "ReplaceRef")
	}
}

func (c *check) checkDeleteCondition(cond backend.Condition) error {
	if cond.IsAlways() {
		return need(c.info.Capabilities.DeleteRef, "DeleteRef")
	}
	return need(c.info.Capabilities.ConditionalDeleteRef, "ConditionalDeleteRef")
}
