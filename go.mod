module github.com/larder-build/larder

go 1.26.0
