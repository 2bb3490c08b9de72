"""What knows no domain. The template's: `copier update` renews it."""
