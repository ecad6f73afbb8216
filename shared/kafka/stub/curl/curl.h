/* Empty on purpose: see .cargo/config.toml. */
