// The pin of the client by which BuildKit speaks to the cache service of GitHub
// Actions: the version that BuildKit's module beside this one has.
//
// To move it: cd internal/testbed/goactionscache and
// go get github.com/tonistiigi/go-actions-cache@vX.Y.Z && go mod tidy
module github.com/larder-build/larder/internal/testbed/goactionscache

go 1.26.0

require (
	github.com/stretchr/testify v1.9.0
	github.com/tonistiigi/go-actions-cache v0.0.0-20260120203934-54bc28c26fd2
)

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.16.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.10.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/storage/azblob v1.5.0 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/dimchansky/utfbom v1.1.1 // indirect
	github.com/golang-jwt/jwt/v5 v5.2.2 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	golang.org/x/net v0.29.0 // indirect
	golang.org/x/sync v0.8.0 // indirect
	golang.org/x/text v0.19.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
